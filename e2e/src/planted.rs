//! Looks for planted secrets in everything that Pharos publishes, in every form in which a byte
//! gets out by mistake.
//!
//! Enter at [`Planted::new`] with the values of Secrets, and at [`Planted::is_nowhere`]. What a
//! Secret holds is found as text, as base64 wherever it starts, as hexadecimal, as the `Debug` of
//! bytes, and by its SHA-256.

use std::fmt::Write as _;

use anyhow::{Context, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pharos_testkit::{Pharos, Signal};

use crate::stage::Stage;

/// How many bytes of a value are looked for at once: fewer are found by chance.
const WINDOW: usize = 15;
/// The objects that Pharos writes or causes.
const OBJECTS: &str = "telemetryconfigs,leases,events,controllerrevisions,\
    validatingwebhookconfigurations,validatingpolicies";
const PAGES: [&str; 4] = ["/readyz", "/livez", "/debug/telemetry", "/debug/telemetry/last-commit"];

/// Forms of secret values, to be found nowhere.
#[derive(Clone, Default)]
pub struct Planted(Vec<String>);

// === impl Planted ===

impl Planted {
    /// The values of Secrets, as they are in use: decoded.
    #[must_use]
    pub fn new<V: AsRef<[u8]>>(values: &[V]) -> Self {
        let mut all = Self::default();
        values.iter().for_each(|value| all.add(value.as_ref()));
        all
    }

    /// One more of them.
    pub fn add(&mut self, value: &[u8]) {
        let last = value.len().saturating_sub(WINDOW);
        let text = String::from_utf8_lossy(value);
        if text.starts_with("-----") {
            self.add_key(value);
            // A PEM is known by what is between its lines, too.
            let lines = text.lines().filter(|line| !line.starts_with("-----"));
            self.add_key(&STANDARD.decode(lines.collect::<String>()).unwrap_or_default());
        } else {
            self.add_windows(value, &[0, last / 2, last]);
        }
        self.add_forms(digest(&SHA256, value).as_ref());
    }

    /// Of a private key only the middle is private: it starts with its kind, and the public key is in
    /// it, too.
    fn add_key(&mut self, key: &[u8]) {
        let last = key.len().saturating_sub(WINDOW);
        self.add_windows(key, &[last / 3, last * 2 / 5]);
    }

    fn add_windows(&mut self, value: &[u8], starts: &[usize]) {
        for start in starts {
            self.add_forms(&value[*start..value.len().min(start + WINDOW)]);
        }
    }

    /// Where a form of a value is in this text: what is before it.
    #[must_use]
    pub fn found_in(&self, text: &str) -> Option<String> {
        let at = self.0.iter().find_map(|form| text.find(form.as_str()))?;
        let before: Vec<_> = text[..at].chars().rev().take(80).collect();
        Some(before.into_iter().rev().collect())
    }

    /// That nothing which Pharos writes, logs, serves or sends holds a value in any form.
    pub async fn is_nowhere(&self, stage: &Stage, pharoses: &[&Pharos]) -> anyhow::Result<()> {
        let get = ["get", OBJECTS, "-A", "-o", "yaml", "--show-managed-fields"];
        self.is_not_in("the objects", &stage.cluster.kubectl(&get).await?)?;
        for pharos in pharoses {
            self.is_not_in("the log", &pharos.logs()?)?;
            self.is_not_in("/metrics", &pharos.scrape().await?.1)?;
            for page in PAGES {
                self.is_not_in(page, &pharos.admin(page).await?.1)?;
            }
        }
        for signal in Signal::ALL {
            let sent = std::fs::read(stage.collector.file_of(signal)).unwrap_or_default();
            let what = format!("what the Collector got of {signal:?}");
            self.is_not_in(&what, &String::from_utf8_lossy(&sent))?;
        }
        Ok(())
    }

    fn is_not_in(&self, what: &str, text: &str) -> anyhow::Result<()> {
        ensure!(!self.0.is_empty(), "nothing is looked for");
        let found = self.found_in(text);
        ensure!(found.is_none(), "a secret is in {what}, after: {}", found.unwrap_or_default());
        Ok(())
    }

    fn add_forms(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).ok().map(str::to_owned);
        let mut hex = String::new();
        for byte in bytes {
            let _ = write!(hex, "{byte:02x}");
        }
        let debug = format!("{bytes:?}");
        let debug = debug.trim_matches(['[', ']']).to_owned();
        let forms = [hex.to_uppercase(), hex, debug].into_iter().chain(text);
        self.0.extend(forms.chain((0..3).filter_map(|offset| inner_base64(bytes, offset).ok())));
    }
}

/// What base64 makes of these bytes where so many others come before them, and some after.
fn inner_base64(bytes: &[u8], offset: usize) -> anyhow::Result<String> {
    // The bytes from the next multiple of three to the last are encoded by themselves.
    let inner = bytes.get((3 - offset) % 3..).context("a window is longer")?;
    Ok(STANDARD.encode(&inner[..inner.len() / 3 * 3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &[u8] = b"planted-and-looked-for-everywhere";

    #[test]
    fn every_form_is_found_wherever_it_starts() {
        let planted = Planted::new(&[VALUE]);
        let hidden = |before: &str| [before.as_bytes(), VALUE, b" and more"].concat();
        for before in ["", "x", "xy", "xyz"] {
            let hidden = hidden(before);
            let text = String::from_utf8(hidden.clone()).unwrap();
            for text in [STANDARD.encode(&hidden), format!("{hidden:?}"), text] {
                assert!(planted.found_in(&format!("said: {text}")).is_some(), "{text}");
            }
        }
        let digest = digest(&SHA256, VALUE);
        assert!(planted.found_in(&STANDARD.encode(digest.as_ref())).is_some());
        assert_eq!(planted.found_in("planted, and something else"), None);
    }

    #[test]
    fn a_key_is_found_in_the_lines_of_its_pem_and_without_them() {
        let authority = pharos_testkit::pki::Authority::new("a").unwrap();
        let (one, other) = (authority.client("b").unwrap(), authority.client("c").unwrap());
        let planted = Planted::new(&[&one.key_pem]);
        assert!(planted.found_in(&one.key_pem).is_some());
        assert!(planted.found_in(&one.key_pem.replace('\n', "")).is_some());
        assert!(planted.found_in(&STANDARD.encode(&one.key_pem)).is_some());
        assert_eq!(planted.found_in(&other.key_pem), None);
        assert_eq!(planted.found_in(&one.certificate_pem), None);
    }
}
