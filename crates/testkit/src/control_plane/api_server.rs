//! A kube-apiserver, started again and again over one etcd.

use std::path::PathBuf;
use std::process::Command;

use reqwest::Client;

use super::audit::AuditLog;
use super::credentials::Credentials;
use super::{START, flag, url};
use crate::http;
use crate::ports::loopback;
use crate::process::{Process, StartError, keep_to_this_machine};

/// What a kube-apiserver is started with.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) dir: PathBuf,
    pub(super) etcd_port: u16,
    pub(super) credentials: Credentials,
    pub(super) audit: Option<AuditLog>,
}

// === impl Launch ===

impl Launch {
    /// Starts one that calls itself `name` and waits until it is ready.
    pub(super) async fn start(
        &self,
        port: u16,
        name: &str,
    ) -> Result<(Process, Client), StartError> {
        let credentials = &self.credentials;
        let mut command = Command::new(&self.program);
        keep_to_this_machine(&mut command);
        command
            .arg(format!("--etcd-servers=http://{}", loopback(self.etcd_port)))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            // Or it refuses a loopback advertise address.
            .arg("--endpoint-reconciler-type=none")
            .arg(format!("--secure-port={port}"))
            .arg(flag("--cert-dir", &credentials.certificates))
            .arg(flag("--service-account-key-file", &credentials.service_account_public_key))
            .arg(flag("--service-account-signing-key-file", &credentials.service_account_key))
            .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
            .arg(flag("--token-auth-file", &credentials.tokens))
            .arg("--authorization-mode=RBAC")
            .arg("--service-cluster-ip-range=10.0.0.0/24")
            // No controller makes the default ServiceAccounts that it would ask for.
            .arg("--disable-admission-plugins=ServiceAccount");
        if let Some(audit) = &self.audit {
            command.args(audit.flags(name));
        }
        let log = self.dir.join(format!("{name}.log"));
        let mut process = Process::spawn(name, &mut command, &log)?;
        let readyz = format!("{}/readyz", url(port));
        let client = process
            .until("is ready", START, async || {
                let ready = async {
                    let client = credentials.client()?;
                    http::get_ok(&client, &readyz).await?;
                    anyhow::Ok(client)
                };
                ready.await.map_err(|error| format!("{error:#}"))
            })
            .await?;
        Ok((process, client))
    }
}
