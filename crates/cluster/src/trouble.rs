//! What goes wrong between Pharos and the API server, in words that name the remedy.
//!
//! Whoever asks the API server for something again and again keeps an [`Episode`] of it, so that a
//! trouble is logged when it begins and when it ends, not every time.

use std::borrow::Cow;
use std::fmt::Display;

use kube::core::Status;

/// A closed set of troubles with the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The API server does not know the kind: its CRD is not installed.
    UnknownKind,
    /// The namespace does not exist.
    NoNamespace,
    /// The API server does not know who we are.
    Unauthenticated,
    /// The service account may not do this.
    Forbidden,
    /// The API server did not answer.
    Unreachable,
    /// The API server has too much to do, or is not ready yet.
    Overloaded,
    /// It answered with an older state than before.
    Outdated,
    /// It answered something else that is not a success.
    Refused,
}

/// Something that is tried again and again, and the trouble with it, if there is one.
#[derive(Debug)]
pub struct Episode {
    attempt: Cow<'static, str>,
    trouble: Option<Trouble>,
}

// === impl Trouble ===

impl Trouble {
    /// Sorts an error of the client.
    pub fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(status),
            kube::Error::Auth(_) => Self::Unauthenticated,
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Self::Refused,
            _ => Self::Unreachable,
        }
    }

    fn of_status(status: &Status) -> Self {
        let about = status.details.as_ref().map_or("", |details| details.kind.as_str());
        match status.code {
            401 => Self::Unauthenticated,
            403 => Self::Forbidden,
            404 if about == "namespaces" => Self::NoNamespace,
            404 => Self::UnknownKind,
            429 | 503 | 504 => Self::Overloaded,
            _ => Self::Refused,
        }
    }

    /// A closed word for logs and metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::UnknownKind => "UnknownKind",
            Self::NoNamespace => "NoNamespace",
            Self::Unauthenticated => "Unauthenticated",
            Self::Forbidden => "Forbidden",
            Self::Unreachable => "Unreachable",
            Self::Overloaded => "Overloaded",
            Self::Outdated => "Outdated",
            Self::Refused => "Refused",
        }
    }

    /// What a person can do about it; the retry goes on by itself.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::UnknownKind => {
                "install Pharos's CRDs: pharos crds | kubectl apply --server-side -f -"
            }
            Self::NoNamespace => "create the namespace that --namespace names",
            Self::Unauthenticated => "check the credentials of the kubeconfig or service account",
            Self::Forbidden => "grant the service account the right to it",
            Self::Unreachable => "check that the API server runs and that the kubeconfig names it",
            Self::Overloaded => {
                "give the API server time; if it lasts, see what asks so much of it"
            }
            Self::Outdated => "if etcd was restored from a backup, it is believed after a minute",
            Self::Refused => "see the error",
        }
    }
}

// === impl Episode ===

impl Episode {
    /// No trouble so far with `attempt`, which completes "cannot ..." and "can ... again".
    pub fn of(attempt: impl Into<Cow<'static, str>>) -> Self {
        Self { attempt: attempt.into(), trouble: None }
    }

    /// Notes a failure; whether it is news.
    pub fn failed(&mut self, trouble: Trouble, error: &dyn Display) -> bool {
        self.failed_for(trouble, error, trouble.remedy())
    }

    /// As [`Self::failed`], for a trouble with a remedy of its own.
    pub fn failed_for(&mut self, trouble: Trouble, error: &dyn Display, remedy: &str) -> bool {
        let news = self.trouble.replace(trouble) != Some(trouble);
        if news {
            let reason = trouble.reason();
            tracing::warn!(reason, %error, "cannot {}, retrying; {remedy}", self.attempt);
        }
        news
    }

    /// Notes that it worked; whether that ends a trouble.
    pub fn succeeded(&mut self) -> bool {
        let news = self.trouble.take().is_some();
        if news {
            tracing::info!("can {} again", self.attempt);
        }
        news
    }

    /// The trouble with it, until it works.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overloaded_server_is_told_from_one_that_refuses() {
        let of = |code| {
            let status = Status { code, ..Status::default() };
            Trouble::of(&kube::Error::Api(Box::new(status)))
        };
        for code in [429, 503, 504] {
            assert_eq!(of(code), Trouble::Overloaded, "{code}");
        }
        for code in [400, 409, 410, 422, 500] {
            assert_eq!(of(code), Trouble::Refused, "{code}");
        }
    }

    #[test]
    fn a_trouble_is_news_when_it_begins_when_it_turns_and_when_it_ends() {
        let mut episode = Episode::of("count");
        assert!(!episode.succeeded());
        assert!(episode.failed(Trouble::Unreachable, &"no"));
        assert!(!episode.failed(Trouble::Unreachable, &"still no"));
        assert!(episode.failed(Trouble::Forbidden, &"not allowed"));
        assert_eq!(episode.trouble(), Some(Trouble::Forbidden));
        assert!(episode.succeeded());
        assert!(!episode.succeeded());
        assert!(episode.failed(Trouble::Forbidden, &"again"));
    }
}
