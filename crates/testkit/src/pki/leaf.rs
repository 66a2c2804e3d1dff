//! What a certificate of a server or a client says.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose, date_time_ymd};

use super::{Algorithm, Encoding};

const DAY: Duration = Duration::from_hours(24);

/// A certificate to be issued: an ECDSA key in PKCS#8, valid for a day around now, unless told
/// otherwise.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub(super) algorithm: Algorithm,
    pub(super) encoding: Encoding,
    name: String,
    names: Vec<String>,
    usage: ExtendedKeyUsagePurpose,
    valid: Range<SystemTime>,
}

// === impl Leaf ===

impl Leaf {
    /// For a server of these names and addresses.
    #[must_use]
    pub fn server(names: &[&str]) -> Self {
        let common_name = names.first().copied().unwrap_or("server");
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Self::new(common_name, names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// For a client of this common name.
    #[must_use]
    pub fn client(name: &str) -> Self {
        Self::new(name, vec![], ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// With such a key.
    #[must_use]
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// With the key written like this.
    #[must_use]
    pub fn encoding(self, encoding: Encoding) -> Self {
        Self { encoding, ..self }
    }

    /// Valid in this time, with a precision of seconds.
    #[must_use]
    pub fn valid(self, valid: Range<SystemTime>) -> Self {
        Self { valid, ..self }
    }

    /// Valid from an hour ago until this time from now.
    #[must_use]
    pub fn valid_for(self, remaining: Duration) -> Self {
        let now = SystemTime::now();
        self.valid(now - Duration::from_hours(1)..now + remaining)
    }

    /// Valid until an hour ago.
    #[must_use]
    pub fn expired(self) -> Self {
        let end = SystemTime::now() - Duration::from_hours(1);
        self.valid(end - DAY..end)
    }

    /// Valid from an hour from now.
    #[must_use]
    pub fn not_yet_valid(self) -> Self {
        let start = SystemTime::now() + Duration::from_hours(1);
        self.valid(start..start + DAY)
    }

    pub(super) fn parameters(&self) -> Result<CertificateParams, rcgen::Error> {
        let mut parameters = CertificateParams::new(self.names.clone())?;
        parameters.distinguished_name.push(DnType::CommonName, &self.name);
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![self.usage.clone()];
        parameters.use_authority_key_identifier_extension = true;
        let epoch = date_time_ymd(1970, 1, 1);
        let since_epoch =
            |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        parameters.not_before = epoch + since_epoch(self.valid.start);
        parameters.not_after = epoch + since_epoch(self.valid.end);
        Ok(parameters)
    }

    fn new(name: &str, names: Vec<String>, usage: ExtendedKeyUsagePurpose) -> Self {
        let now = SystemTime::now();
        Self {
            algorithm: Algorithm::default(),
            encoding: Encoding::default(),
            name: name.to_owned(),
            names,
            usage,
            valid: now - Duration::from_hours(1)..now + DAY,
        }
    }
}
