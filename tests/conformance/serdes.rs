//! The vectors' serde names: JSON to bytes for what is piped in, and base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Base64 text, or null, as bytes.
pub(crate) fn base64(json: &Value) -> Option<Vec<u8>> {
    let text = json.as_str()?;
    Some(
        STANDARD
            .decode(text)
            .unwrap_or_else(|e| panic!("`{text}` is no base64: {e}")),
    )
}

/// The bytes of a value under a serde of `README.md`; null is null under all of them.
pub(crate) fn encode(serde: &str, json: &Value) -> Option<Vec<u8>> {
    if json.is_null() {
        return None;
    }
    let number = || {
        json.as_i64()
            .unwrap_or_else(|| panic!("{json} is no integer"))
    };
    Some(match serde {
        "string" => json
            .as_str()
            .unwrap_or_else(|| panic!("{json} is no string"))
            .into(),
        "int" => i32::try_from(number())
            .expect("an int")
            .to_be_bytes()
            .to_vec(),
        "long" => number().to_be_bytes().to_vec(),
        "bytes" => base64(&json["b64"]).expect("bytes"),
        "json" => json.to_string().into_bytes(),
        other => panic!("nothing is piped in with serde `{other}`"),
    })
}

/// Bytes as a person reads them in a diff: text where they are text, else hexadecimal.
pub(crate) fn show(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else {
        return "null".into();
    };
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => format!("{text:?}"),
        _ => bytes
            .iter()
            .fold("0x".into(), |hex, byte| format!("{hex}{byte:02x}")),
    }
}
