//! The keys, tokens and files by which the API server and its one user know each other.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rcgen::KeyPair;
use reqwest::Client;
use serde_json::json;
use uuid::Uuid;

use crate::http;
use crate::ports::loopback;

#[derive(Debug)]
pub(super) struct Credentials {
    /// Where the API server keeps the certificate that it makes for itself.
    pub(super) certificates: PathBuf,
    pub(super) service_account_key: PathBuf,
    pub(super) service_account_public_key: PathBuf,
    pub(super) tokens: PathBuf,
    kubeconfig: PathBuf,
    token: String,
}

// === impl Credentials ===

impl Credentials {
    pub(super) fn create(dir: &Path) -> anyhow::Result<Self> {
        let dir = dir.canonicalize()?;
        let credentials = Self {
            certificates: dir.join("certificates"),
            service_account_key: dir.join("service-account.key"),
            service_account_public_key: dir.join("service-account.pub"),
            tokens: dir.join("tokens.csv"),
            kubeconfig: dir.join("kubeconfig"),
            token: Uuid::new_v4().simple().to_string(),
        };
        let key = KeyPair::generate().context("cannot make a service account key")?;
        write(&credentials.service_account_key, &key.serialize_pem())?;
        write(&credentials.service_account_public_key, &key.public_key_pem())?;
        let admin = format!("{},admin,admin,system:masters\n", credentials.token);
        write(&credentials.tokens, &admin)?;
        Ok(credentials)
    }

    /// A client for the API server, once it has made its certificate.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        http::authenticated(&self.read_ca()?, &self.token)
    }

    /// A client for the API server that waits as long as an answer takes, and shows no credentials.
    pub(super) fn patient_client(&self) -> anyhow::Result<Client> {
        http::patient(&self.read_ca()?)
    }

    pub(super) fn write_kubeconfig(&self, port: u16) -> anyhow::Result<PathBuf> {
        let server = format!("https://{}", loopback(port));
        // JSON is YAML, and quotes whatever is in a path.
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "pharos",
            "clusters": [{
                "name": "pharos",
                "cluster": {"server": server, "certificate-authority": self.ca()},
            }],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "pharos", "context": {"cluster": "pharos", "user": "admin"}}],
        });
        write(&self.kubeconfig, &serde_json::to_string_pretty(&kubeconfig)?)?;
        Ok(self.kubeconfig.clone())
    }

    fn read_ca(&self) -> anyhow::Result<Vec<u8>> {
        let ca = self.ca();
        fs::read(&ca).with_context(|| format!("cannot read {}", ca.display()))
    }

    fn ca(&self) -> PathBuf {
        self.certificates.join("apiserver.crt")
    }
}

fn write(path: &Path, content: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}
