//! Generated code under strict lints. trybuild runs rustc only; `cargo clippy --all-targets` sees the same case here.

#[path = "ui/pass/strict_lints.rs"]
pub mod strict_lints;

#[test]
fn generated_code_is_clean_under_strict_lints() {
    strict_lints::main();
}
