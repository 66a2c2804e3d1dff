//! Conditions of a TelemetryConfig and the closed sets of their reasons.
//!
//! A condition's status follows from its reason, so that the two cannot disagree: decide a reason
//! and ask for its `status()`. The conditions themselves are `metav1.Condition`s.

use std::fmt;

/// What a condition judges. All are positive and always present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// Accepted, ResolvedRefs and Programmed together.
    Ready,
    /// The object can be used, and wins at least one component.
    Accepted,
    /// Everything that it refers to exists and is usable.
    ResolvedRefs,
    /// Every live replica runs it.
    Programmed,
    /// Its exporters deliver. No part of Ready: an outage elsewhere is no fault of the object.
    ExportHealthy,
}

/// Status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not decided yet.
    Unknown,
}

/// Declares the reasons of one condition under the status that each stands for.
macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident for $condition:ident {
        $($status:ident { $($(#[$variant_doc:meta])* $variant:ident,)+ })+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($($(#[$variant_doc])* $variant,)+)+ }

        impl $name {
            /// The condition that these are reasons of.
            pub const CONDITION: ConditionType = ConditionType::$condition;

            /// Every reason of the condition.
            pub const ALL: &[Self] = &[$($(Self::$variant,)+)+];

            /// The status that the reason stands for.
            pub fn status(self) -> ConditionStatus {
                match self { $($(Self::$variant)|+ => ConditionStatus::$status,)+ }
            }

            /// The word written to `reason`.
            pub fn as_str(self) -> &'static str {
                match self { $($(Self::$variant => stringify!($variant),)+)+ }
            }

            /// The reason that is written so.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

reasons! {
    /// Reasons of [`ConditionType::Accepted`].
    AcceptedReason for Accepted {
        True {
            /// It is used by at least one component.
            Accepted,
        }
        False {
            /// Other objects won every component that it asks for.
            Conflicted,
            /// It contradicts itself, or cannot be decoded.
            Invalid,
            /// It asks for something that this version cannot do.
            UnsupportedValue,
            /// No live replica runs a component that it asks for.
            NoMatchingComponent,
        }
        Unknown {
            /// Not judged yet.
            Pending,
        }
    }
}

reasons! {
    /// Reasons of [`ConditionType::ResolvedRefs`].
    ResolvedRefsReason for ResolvedRefs {
        True {
            /// Every reference is usable.
            ResolvedRefs,
            /// Every reference is usable, but a certificate expires soon.
            CertificateExpiringSoon,
        }
        False {
            /// A Secret does not exist.
            SecretNotFound,
            /// A Secret lacks the key.
            SecretKeyMissing,
            /// A ConfigMap, or its key, does not exist.
            ConfigMapNotFound,
            /// A certificate or key cannot be parsed.
            InvalidCertificate,
            /// A private key does not belong to its certificate.
            KeyPairMismatch,
            /// A certificate has expired.
            CertificateExpired,
            /// A header value has bytes that no header may have.
            InvalidHeaderValue,
            /// Pharos may not read the referenced object.
            RefNotPermitted,
        }
        Unknown {
            /// Not judged yet.
            Pending,
        }
    }
}

reasons! {
    /// Reasons of [`ConditionType::Programmed`].
    ProgrammedReason for Programmed {
        True {
            /// Every live replica runs this generation.
            Programmed,
        }
        False {
            /// A replica could not apply it.
            ReplicasFailed,
            /// The configuration before this one is in force.
            RunningPreviousConfig,
            /// The defaults are in force.
            RunningDefaults,
            /// Other objects won every component that it asks for.
            Conflicted,
        }
        Unknown {
            /// Replicas are still applying it.
            Applying,
            /// No replica is alive to apply it.
            NoReplicas,
        }
    }
}

reasons! {
    /// Reasons of [`ConditionType::ExportHealthy`].
    ExportHealthyReason for ExportHealthy {
        True {
            /// The last exports succeeded.
            Healthy,
            /// Nothing is pushed anywhere.
            NoExporters,
        }
        False {
            /// An exporter drops everything.
            AllDataDropped,
            /// An exporter drops a part.
            SomeDataDropped,
            /// The endpoint cannot be reached.
            EndpointUnreachable,
            /// The TLS handshake fails.
            TLSHandshakeFailed,
            /// The endpoint refuses the credentials.
            Unauthenticated,
            /// The endpoint asks to send less.
            Throttled,
        }
        Unknown {
            /// No export has been answered yet.
            NotYetExported,
        }
    }
}

reasons! {
    /// Reasons of [`ConditionType::Ready`] of its own. One that is False has the reason of the
    /// first condition that it is not ready for.
    ReadyReason for Ready {
        True {
            /// Accepted, with every reference resolved, and programmed.
            Ready,
        }
        Unknown {
            /// Nothing failed, and something is not decided yet.
            Progressing,
        }
    }
}

// === impl ConditionType ===

impl ConditionType {
    /// Every condition, in the order in which status lists them.
    pub const ALL: [Self; 5] =
        [Self::Ready, Self::Accepted, Self::ResolvedRefs, Self::Programmed, Self::ExportHealthy];

    /// The word written to `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Accepted => "Accepted",
            Self::ResolvedRefs => "ResolvedRefs",
            Self::Programmed => "Programmed",
            Self::ExportHealthy => "ExportHealthy",
        }
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl ConditionStatus ===

impl ConditionStatus {
    /// The word written to `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_found_by_the_word_that_it_writes() {
        for reason in ExportHealthyReason::ALL {
            assert_eq!(ExportHealthyReason::parse(reason.as_str()), Some(*reason));
        }
        assert_eq!(ExportHealthyReason::parse("Sunny"), None);
    }

    #[test]
    fn a_warning_leaves_its_condition_true() {
        assert_eq!(ResolvedRefsReason::CertificateExpiringSoon.status(), ConditionStatus::True);
    }
}
