//! The cluster that the demo runs on, local or kind.

use pharos_testkit::{ControlPlane, Kubectl, WebhookTarget, external_name_service};

use crate::ClusterKind;
use crate::kind::Kind;
use crate::session::Session;

pub(crate) enum Cluster {
    Local(Box<ControlPlane>),
    Kind(Kind),
}

// === impl Cluster ===

impl Cluster {
    /// Starts the cluster that the session asks for and records it.
    pub(crate) async fn start(session: &mut Session) -> anyhow::Result<Self> {
        let dir = session.run_dir();
        let cluster = match session.cluster() {
            ClusterKind::Local => {
                let control_plane = ControlPlane::start(&dir).await?;
                for (name, process) in
                    ["kube-apiserver", "etcd"].iter().zip(control_plane.processes())
                {
                    session.record(name, process)?;
                }
                Self::Local(Box::new(control_plane))
            }
            ClusterKind::Kind => Self::Kind(Kind::create(&dir).await?),
        };
        session.record_kubectl(cluster.as_ref())?;
        Ok(cluster)
    }

    /// How its API server reaches a webhook on this machine.
    pub(crate) fn webhook_target(&self) -> WebhookTarget {
        match self {
            Self::Local(_) => WebhookTarget::Service("pharos/pharos".to_owned()),
            Self::Kind(kind) => WebhookTarget::Host(kind.host.to_string()),
        }
    }

    /// The Service that the webhook target needs, if any.
    pub(crate) fn webhook_service(&self) -> Option<String> {
        matches!(self, Self::Local(_)).then(|| external_name_service("pharos", "pharos"))
    }

    /// Lets it run on after this process.
    pub(crate) fn leave_running(self) {
        match self {
            Self::Local(control_plane) => control_plane.leave_running(),
            Self::Kind(_) => {}
        }
    }
}

impl AsRef<Kubectl> for Cluster {
    fn as_ref(&self) -> &Kubectl {
        match self {
            Self::Local(control_plane) => control_plane.as_ref().as_ref(),
            Self::Kind(kind) => &kind.kubectl,
        }
    }
}
