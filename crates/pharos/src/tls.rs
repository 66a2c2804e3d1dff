//! The one TLS provider of the process.

/// Makes aws-lc-rs the provider of everything that speaks TLS here. Once, before any of it.
///
/// # Errors
/// There is a provider already: two in one process would be a bug.
pub(crate) fn install_provider() -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider was installed before ours"))
}
