#![no_main]

#[path = "../checks.rs"]
#[allow(dead_code, reason = "one check of several")]
mod checks;
#[path = "../../cloud_config/systemd.rs"]
mod systemd;

libfuzzer_sys::fuzz_target!(|text: &[u8]| checks::document(text));
