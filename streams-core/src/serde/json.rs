//! JSON as a wire format: compact, as serde writes it, a struct's fields in their order. The `Json<T>` wrapper, and what
//! `#[derive(Json)]` calls.

use std::ops::{Deref, DerefMut};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Serde, SerdeError};

/// Any type of serde's, written as compact JSON.
///
/// For a type of your own, `#[derive(kstreams::Json)]` does the same without the wrapper. JSON's `null` is four bytes, not
/// Kafka's null: for a record that may have no value, write `Option<Json<T>>`.
///
/// ```
/// use streams_core::serde::{Json, Serde};
///
/// let point = Json((1, 2.5));
/// let mut bytes = vec![];
/// point.serialize(&mut bytes)?;
/// assert_eq!(bytes, b"[1,2.5]");
/// assert_eq!(Json::<(i32, f64)>::deserialize(&bytes)?.0, (1, 2.5));
/// # Ok::<(), streams_core::serde::SerdeError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json<T>(pub T);

impl<T> Deref for Json<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> From<T> for Json<T> {
    fn from(value: T) -> Self {
        Json(value)
    }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Serde for Json<T> {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        write(&self.0, out)
    }
    fn deserialize(bytes: &[u8]) -> Result<Self, SerdeError> {
        read(bytes).map(Json)
    }
    fn to_json(&self) -> serde_json::Value {
        value(&self.0)
    }
}

/// What `#[derive(Json)]` needs of a type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` derives `Json`, but lacks serde's `Serialize` or `Deserialize` [KS0210]",
    label = "derives `Json`",
    note = "derive all three: `#[derive(serde::Serialize, serde::Deserialize, kstreams::Json)]`"
)]
pub trait AsJson: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> AsJson for T {}

/// Appends a value's JSON.
///
/// # Errors
/// When the value has no JSON (a map whose keys are no strings).
pub fn write<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    let start = out.len();
    serde_json::to_writer(&mut *out, value).map_err(|e| {
        out.truncate(start);
        invalid::<T>(&e)
    })
}

/// Reads a value from its JSON.
///
/// # Errors
/// When the bytes are not JSON, or not that of such a value.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, SerdeError> {
    serde_json::from_slice(bytes).map_err(|e| invalid::<T>(&e))
}

/// A value as JSON for a person; null where it has none.
pub fn value<T: Serialize>(value: &T) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

#[cold]
fn invalid<T>(error: &serde_json::Error) -> SerdeError {
    SerdeError::Invalid {
        type_name: std::any::type_name::<T>(),
        reason: error.to_string(),
    }
}
