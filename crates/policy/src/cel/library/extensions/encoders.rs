//! `base64.encode` and `base64.decode`.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::cel::library::Library;
use crate::cel::library::standard::{error, mismatch};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::{Octets, Value};

/// Padding is written, and may be missing from what is read.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn declare(library: &mut Library) {
    library.global("base64.encode", [Type::Bytes], Type::String, encode);
    library.global("base64.decode", [Type::String], Type::Bytes, decode);
}

fn encode<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [Value::Bytes(bytes)] = arguments else {
        return Err(mismatch());
    };
    host.meter.scan(bytes.len())?;
    host.meter.allocate(bytes.len().div_ceil(3) * 4)?;
    Ok(Value::string(BASE64.encode(&**bytes)))
}

fn decode<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [Value::String(text)] = arguments else {
        return Err(mismatch());
    };
    host.meter.scan(text.len())?;
    host.meter.allocate(text.len())?;
    let bytes = BASE64.decode(text.as_bytes()).map_err(|cause| error(cause.to_string()))?;
    Ok(Value::Bytes(Octets::Shared(bytes.into())))
}
