//! What is told of the policies themselves: which there are, and what becomes of them.

use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::KeyValue;
use pharos_telemetry::{Catalogue, Counter, Observer};

use crate::catalogue::key;
use crate::catalogue::metrics::{DEPRECATED_REQUESTS, INFO, POLICY_CHANGES, POLICY_RULE_INFO};
use crate::facts::{ChangeType, PolicyFacts, PolicyInfo};

/// The version, as Kyverno writes its own.
const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));
/// Every rule that there is can only validate.
pub(crate) const RULE_TYPE: &str = "validate";

/// The instruments about policies.
#[derive(Clone, Debug)]
pub(crate) struct Policies {
    pub(crate) changes: Counter,
    pub(crate) deprecated_requests: Counter,
    infos: Arc<RwLock<Arc<[PolicyInfo]>>>,
}

// === impl Policies ===

impl Policies {
    pub(crate) fn declare(catalogue: &mut Catalogue) -> Self {
        let infos = Arc::<RwLock<Arc<[PolicyInfo]>>>::default();
        let observed = Arc::clone(&infos);
        catalogue.observable_gauge(&POLICY_RULE_INFO, move |observer| {
            let infos = Arc::clone(&observed.read().unwrap_or_else(PoisonError::into_inner));
            infos.iter().for_each(|info| observe(info, observer));
        });
        catalogue.observable_gauge(&INFO, |observer| {
            observer.observe(1.0, &[KeyValue::new(key::VERSION, VERSION)]);
        });
        Self {
            changes: catalogue.counter(&POLICY_CHANGES),
            deprecated_requests: catalogue.counter(&DEPRECATED_REQUESTS),
            infos,
        }
    }

    pub(crate) fn set(&self, infos: Arc<[PolicyInfo]>) {
        *self.infos.write().unwrap_or_else(PoisonError::into_inner) = infos;
    }
}

fn observe(info: &PolicyInfo, observer: &Observer<'_, f64>) {
    let policy = info.facts();
    for rule in &info.rules {
        let attributes = [
            KeyValue::new(key::POLICY_BACKGROUND_MODE, policy.background_mode.as_str()),
            KeyValue::new(key::POLICY_NAME, Arc::clone(&info.name)),
            KeyValue::new(key::POLICY_NAMESPACE, policy.rule_namespace().to_owned()),
            KeyValue::new(key::POLICY_TYPE, policy.policy_type()),
            KeyValue::new(key::POLICY_VALIDATION_MODE, policy.validation_mode.mode()),
            KeyValue::new(key::RULE_NAME, Arc::clone(rule)),
            KeyValue::new(key::RULE_TYPE, RULE_TYPE),
            KeyValue::new(key::STATUS_READY, info.is_ready),
        ];
        observer.observe(1.0, &attributes);
    }
}

/// In the order of their declaration, as recording wants them.
pub(crate) fn change_attributes(policy: &PolicyFacts<'_>, change: ChangeType) -> [KeyValue; 6] {
    [
        KeyValue::new(key::POLICY_BACKGROUND_MODE, policy.background_mode.as_str()),
        KeyValue::new(key::POLICY_CHANGE_TYPE, change.as_str()),
        KeyValue::new(key::POLICY_NAME, policy.name.to_owned()),
        KeyValue::new(key::POLICY_NAMESPACE, policy.rule_namespace().to_owned()),
        KeyValue::new(key::POLICY_TYPE, policy.policy_type()),
        KeyValue::new(key::POLICY_VALIDATION_MODE, policy.validation_mode.mode()),
    ]
}
