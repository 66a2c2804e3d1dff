//! Destinations.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{DATA_KEY, DNS_LABEL, DNS_SUBDOMAIN, int};

/// A destination.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("(self.type == 'OTLP') == has(self.otlp)")
        .message("otlp must be set if and only if type is OTLP")
        .field_path(".otlp"),
    validation = Rule::new("self.type == 'Prometheus' || !has(self.prometheus)")
        .message("prometheus may be set only if type is Prometheus")
        .field_path(".prometheus")
)]
#[serde(rename_all = "camelCase")]
pub struct Exporter {
    /// The name that metrics, traces and logs refer to: lower-case letters, digits and '-'.
    #[schemars(length(min = 1, max = 63), regex(pattern = DNS_LABEL))]
    pub name: String,

    /// OTLP pushes to a receiver. Prometheus serves /metrics for scraping, by default at port 8000;
    /// at most one exporter has this type.
    pub r#type: ExporterType,

    /// Settings of an exporter of type Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusExporter>,

    /// Settings of an exporter of type OTLP; required for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otlp: Option<OtlpExporter>,
}

/// Kind of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ExporterType {
    /// Pushes to a receiver of the OpenTelemetry protocol.
    #[serde(rename = "OTLP")]
    Otlp,
    /// Serves scrapes.
    Prometheus,
}

/// Settings of the scrape endpoint. Its address and port belong to the installation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusExporter {
    /// Serves scrapes by TLS. Unset means plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<PrometheusTls>,
}

/// Server side TLS of the scrape endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusTls {
    /// The server's certificate and key. A change is picked up without a restart.
    pub certificate_ref: TlsSecretRef,

    /// Certificates of which one must have issued the scraper's own. Unset means that scrapers
    /// need none.
    #[serde(rename = "clientCARef", default, skip_serializing_if = "Option::is_none")]
    pub client_ca_ref: Option<CaRef>,
}

/// Settings of a push to an OTLP receiver.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("self.protocol != 'GRPC' || !isURL(self.endpoint) || url(self.endpoint).getHostname() == '' || (url(self.endpoint).getPort() != '' && url(self.endpoint).getEscapedPath() in ['', '/'])")
        .message("an endpoint for GRPC needs an explicit port and no path")
        .field_path(".endpoint"),
    validation = Rule::new("!has(self.tls) || self.endpoint.startsWith('https://')")
        .message("tls requires an https:// endpoint")
        .field_path(".tls")
)]
#[serde(rename_all = "camelCase")]
pub struct OtlpExporter {
    /// GRPC or HTTPProtobuf. It cannot be told from the endpoint, so it must be given.
    pub protocol: OtlpProtocol,

    /// Where the receiver listens: http://host:port or https://host:port. GRPC needs the port and
    /// takes no path. For HTTPProtobuf the port may be left to the scheme and a path is kept;
    /// /v1/metrics, /v1/traces or /v1/logs is appended. Credentials go into headers.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(
        validation = ("isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ''",
            "endpoint must be an absolute http:// or https:// URL"),
        validation = ("!self.contains('@') && !self.contains('?') && !self.contains('#')",
            "endpoint must not contain credentials, a query or a fragment")
    )]
    pub endpoint: String,

    /// How requests are compressed: None, Gzip or Zstd.
    #[serde(default)]
    pub compression: Compression,

    /// How long one request may take, in seconds. After that it counts as failed.
    #[serde(default = "int::<10>")]
    #[schemars(range(min = 1, max = 300))]
    pub timeout_seconds: i32,

    /// Headers sent with every request, for GRPC as metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub headers: Vec<Header>,

    /// Client side TLS; only with an https:// endpoint. Unset means the system's roots and no
    /// client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<OtlpTls>,
}

/// Protocol of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OtlpProtocol {
    /// OTLP over gRPC, usually at port 4317.
    #[serde(rename = "GRPC")]
    Grpc,
    /// OTLP over HTTP with protobuf bodies, usually at port 4318.
    #[serde(rename = "HTTPProtobuf")]
    HttpProtobuf,
}

/// Compression of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Compression {
    /// Not at all.
    None,
    /// As gzip.
    #[default]
    Gzip,
    /// As Zstandard.
    Zstd,
}

/// A header: a name with either a value or a reference to one.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = ("has(self.value) != has(self.valueFrom)",
    "exactly one of value and valueFrom must be set"))]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The name, in lower case. Names that the protocol itself uses are refused: content-type,
    /// user-agent, host and the like, grpc-* and *-bin.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[a-z0-9]([-a-z0-9_.]*[a-z0-9])?$"))]
    #[x_kube(validation = ("!(self in ['connection', 'content-encoding', 'content-length', 'content-type', 'expect', 'host', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'user-agent']) && !self.startsWith('grpc-') && !self.endsWith('-bin')",
        "this header name is reserved for the protocol"))]
    pub name: String,

    /// The value: printable ASCII. Not for anything secret, since every reader of this object sees
    /// it; use valueFrom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096), regex(pattern = r"^[\x20-\x7E]*$"))]
    pub value: Option<String>,

    /// Where the value is kept. A change there is picked up without a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<HeaderValueSource>,
}

/// Where a header's value is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderValueSource {
    /// A key of a Secret in the same namespace.
    pub secret_key_ref: SecretKeyRef,
}

/// Client side TLS of a push.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OtlpTls {
    /// Certificates of which one must have issued the receiver's, in place of the system's roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<CaRef>,

    /// The certificate and key that Pharos shows to the receiver. Unset means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<TlsSecretRef>,

    /// The name that the receiver's certificate must be valid for. Unset means the endpoint's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub server_name: Option<String>,
}

/// A bundle of certificates in a ConfigMap or Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaRef {
    /// ConfigMap or Secret.
    #[serde(default)]
    pub kind: CaRefKind,

    /// Name of the ConfigMap or Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,

    /// The key whose value is the bundle, in PEM.
    #[serde(default = "ca_crt")]
    #[schemars(length(min = 1, max = 253), regex(pattern = DATA_KEY))]
    pub key: String,
}

/// Where a bundle of certificates is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CaRefKind {
    /// In a ConfigMap.
    #[default]
    ConfigMap,
    /// In a Secret.
    Secret,
}

/// A Secret of type kubernetes.io/tls in the same namespace, with keys tls.crt and tls.key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TlsSecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
}

/// A key of a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,

    /// Key in the Secret. One newline at the end of its value is ignored.
    #[schemars(length(min = 1, max = 253), regex(pattern = DATA_KEY))]
    pub key: String,
}

fn ca_crt() -> String {
    "ca.crt".to_owned()
}
