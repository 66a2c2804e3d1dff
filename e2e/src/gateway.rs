//! A Collector behind mutual TLS, and the objects by which Pharos gets in: where the rotation of
//! client certificates is tested and measured.
//!
//! Enter at [`Gateway::start`]. The client certificate is in the Secret [`CLIENT`]; each
//! [`Gateway`] has a ConfigMap of its own for the CA.

use anyhow::Context;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams};
use pharos_testkit::pki::{Authority, LOOPBACK, Pair};
use pharos_testkit::{Call, MutualTlsProxy, eventually, ports};
use serde_json::json;
use tokio::time::Instant;

use crate::stage::{ENGINE, PATIENCE, Stage};

/// The Secret with the client certificate.
pub const CLIENT: &str = "client";

/// The stage's Collector, behind a proxy that demands client certificates.
pub struct Gateway {
    /// What ends TLS.
    pub proxy: MutualTlsProxy,
    name: String,
}

// === impl Gateway ===

impl Gateway {
    /// Starts a proxy for clients of these authorities, and keeps its CA in the ConfigMap `name`.
    pub async fn start(stage: &Stage, name: &str, clients: &[&Authority]) -> anyhow::Result<Self> {
        let authority = Authority::new(name)?;
        let backend = ports::loopback(stage.collector.port());
        let proxy = MutualTlsProxy::start(&authority.server(&LOOPBACK)?, clients, backend).await?;
        let ca = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
            "data": {"ca.crt": authority.pem()},
        });
        let config_maps = Api::<ConfigMap>::namespaced(stage.client().await?, ENGINE);
        config_maps.patch(name, &applied(), &Patch::Apply(&ca)).await?;
        Ok(Self { proxy, name: name.to_owned() })
    }

    /// An exporter of the gateway's name, for `spec.exporters`.
    #[must_use]
    pub fn exporter(&self) -> String {
        let (name, endpoint) = (&self.name, self.proxy.endpoint());
        // What is not compressed can be measured: a probe exports nothing.
        format!(
            "{{name: {name}, type: OTLP, otlp: {{protocol: GRPC, endpoint: '{endpoint}', \
             compression: None, tls: {{caRef: {{name: {name}}}, \
             clientCertificateRef: {{name: {CLIENT}}}}}}}}}"
        )
    }

    /// The exports so far, in the order of their arrival; what a probe sends is none.
    #[must_use]
    pub fn exports(&self) -> Vec<Call> {
        let mut calls = self.proxy.calls();
        calls.retain(|call| call.message_bytes > 0);
        calls
    }

    /// Waits for the first export with this certificate.
    pub async fn first_export(&self, certificate: &Pair) -> anyhow::Result<Call> {
        let certificate = certificate.der()?;
        eventually("an export with the new certificate", PATIENCE, async || {
            let exports = self.exports();
            let first = exports.iter().find(|call| *call.certificate == *certificate);
            first.cloned().ok_or_else(|| format!("none of {} exports", exports.len()))
        })
        .await
    }
}

/// Puts a certificate into the Secret [`CLIENT`], in one update; the time before it was sent.
pub async fn rotate(secrets: &Api<Secret>, certificate: &Pair) -> anyhow::Result<Instant> {
    let data = [("tls.crt", &certificate.certificate_pem), ("tls.key", &certificate.key_pem)];
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    let secret = Secret {
        metadata: ObjectMeta { name: Some(CLIENT.to_owned()), ..ObjectMeta::default() },
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(data.map(|(key, pem)| (key.to_owned(), bytes(pem))).into()),
        ..Secret::default()
    };
    let sent = Instant::now();
    let patched = secrets.patch(CLIENT, &applied(), &Patch::Apply(&secret)).await;
    patched.context("cannot rotate the certificate")?;
    Ok(sent)
}

fn applied() -> PatchParams {
    PatchParams::apply("issuer").force()
}
