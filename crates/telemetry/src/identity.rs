//! Who writes: the resource that every export carries, whatever a [`Config`](crate::Config) says.
//!
//! Two processes that push cumulative sums under one identity corrupt each other without anybody
//! noticing, so what tells writers apart is settled here, once, before anything is configured.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_sdk::resource::{ResourceDetector as _, TelemetryResourceDetector};
use uuid::Uuid;

const SERVICE_NAME: &str = "service.name";
const SERVICE_INSTANCE_ID: &str = "service.instance.id";
const SERVICE_VERSION: &str = "service.version";
const POD_NAME: &str = "k8s.pod.name";
const NAMESPACE_NAME: &str = "k8s.namespace.name";
/// What tells writers apart.
const OWN: [&str; 5] =
    [SERVICE_NAME, SERVICE_INSTANCE_ID, SERVICE_VERSION, POD_NAME, NAMESPACE_NAME];

/// The writer of this process's telemetry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    instance_id: String,
    attributes: BTreeMap<String, String>,
}

// === impl Identity ===

impl Identity {
    /// Reads the identity from the environment.
    ///
    /// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` are the only variables of the
    /// OpenTelemetry SDK that have an effect; `POD_UID`, `POD_NAME` and `POD_NAMESPACE` come from
    /// the downward API. The instance is the Pod, or a random one, and never one that
    /// `OTEL_RESOURCE_ATTRIBUTES` names: a Deployment hands that to all of its replicas.
    pub fn from_environment(
        service_version: &'static str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let instance_id = set("POD_UID").unwrap_or_else(|| Uuid::new_v4().to_string());
        let mut attributes =
            set("OTEL_RESOURCE_ATTRIBUTES").map(|list| parse_attributes(&list)).unwrap_or_default();
        let own = [
            (SERVICE_NAME, set("OTEL_SERVICE_NAME")),
            (SERVICE_VERSION, Some(service_version.to_owned())),
            (SERVICE_INSTANCE_ID, Some(instance_id.clone())),
            (POD_NAME, set("POD_NAME")),
            (NAMESPACE_NAME, set("POD_NAMESPACE")),
        ];
        for (key, value) in own {
            if let Some(value) = value {
                attributes.insert(key.to_owned(), value);
            }
        }
        attributes.entry(SERVICE_NAME.to_owned()).or_insert_with(|| "pharos".to_owned());
        let sdk = TelemetryResourceDetector.detect();
        attributes.extend(sdk.iter().map(|(key, value)| (key.to_string(), value.to_string())));
        Self { instance_id, attributes }
    }

    /// `service.instance.id`: the Pod's uid, or a random one.
    pub fn instance_id(&self) -> &str {
        &self.instance_id
    }

    /// The resource of an export: `extra` where this identity says nothing.
    pub(crate) fn resource(&self, extra: &BTreeMap<String, String>) -> Resource {
        let mut attributes = extra.clone();
        // Also where this identity has no value: one that a configuration gives is that of all.
        attributes.retain(|key, _| !OWN.contains(&key.as_str()));
        attributes.extend(self.attributes.clone());
        let attributes = attributes
            .into_iter()
            .map(|(key, value)| KeyValue {
                key,
                value: Some(AnyValue { value: Some(Value::StringValue(value)) }),
                ..KeyValue::default()
            })
            .collect();
        Resource { attributes, ..Resource::default() }
    }
}

/// The pairs of `OTEL_RESOURCE_ATTRIBUTES`. As the specification asks, one broken pair discards
/// the whole list: half of it would be an identity that nobody chose.
fn parse_attributes(list: &str) -> BTreeMap<String, String> {
    let pairs = list.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let parsed: Option<BTreeMap<String, String>> = pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let key = percent_decode(key.trim()).filter(|key| !key.is_empty())?;
            Some((key, percent_decode(value.trim())?))
        })
        .collect();
    parsed.unwrap_or_else(|| {
        tracing::warn!("OTEL_RESOURCE_ATTRIBUTES is not a list of key=value pairs: ignored");
        BTreeMap::new()
    })
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn identity(env: &[(&str, &str)]) -> Identity {
        let env: BTreeMap<&str, &str> = env.iter().copied().collect();
        Identity::from_environment("1.2.3", &|name| env.get(name).map(ToString::to_string))
    }

    fn attribute(resource: &Resource, key: &str) -> Option<String> {
        let found = resource.attributes.iter().find(|attribute| attribute.key == key)?;
        match found.value.as_ref()?.value.as_ref()? {
            Value::StringValue(value) => Some(value.clone()),
            other => panic!("{key} is {other:?}"),
        }
    }

    #[test]
    fn a_pod_is_known_by_its_uid_name_and_namespace() {
        let identity = identity(&[("POD_UID", "u-1"), ("POD_NAME", "p-1"), ("POD_NAMESPACE", "n")]);
        let resource = identity.resource(&BTreeMap::new());
        assert_eq!(identity.instance_id(), "u-1");
        for (key, value) in [
            ("service.name", "pharos"),
            ("service.version", "1.2.3"),
            ("service.instance.id", "u-1"),
            ("k8s.pod.name", "p-1"),
            ("k8s.namespace.name", "n"),
            ("telemetry.sdk.language", "rust"),
        ] {
            assert_eq!(attribute(&resource, key).as_deref(), Some(value), "{key}");
        }
    }

    #[test]
    fn without_a_pod_every_start_is_a_new_instance() {
        assert_ne!(identity(&[]).instance_id(), identity(&[]).instance_id());
        assert_eq!(attribute(&identity(&[]).resource(&BTreeMap::new()), "k8s.pod.name"), None);
    }

    #[test]
    fn two_processes_are_two_writers_whatever_the_environment_says() {
        let shared = [("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=same,team=a%20b")];
        let (one, other) = (identity(&shared), identity(&shared));
        assert_ne!(one.instance_id(), other.instance_id());
        let resource = one.resource(&BTreeMap::new());
        assert_eq!(attribute(&resource, "service.instance.id").as_deref(), Some(one.instance_id()));
        assert_eq!(attribute(&resource, "team").as_deref(), Some("a b"));
    }

    #[test]
    fn the_service_name_comes_from_its_variable_then_from_the_list() {
        let listed = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=listed");
        let name = |env: &[(&str, &str)]| {
            attribute(&identity(env).resource(&BTreeMap::new()), "service.name")
        };
        assert_eq!(name(&[listed]).as_deref(), Some("listed"));
        assert_eq!(name(&[listed, ("OTEL_SERVICE_NAME", "own")]).as_deref(), Some("own"));
        assert_eq!(name(&[("OTEL_SERVICE_NAME", "")]).as_deref(), Some("pharos"));
    }

    #[test]
    fn a_config_adds_attributes_and_overrides_none_of_the_writer() {
        let extra = BTreeMap::from([
            ("cluster".to_owned(), "c-1".to_owned()),
            ("service.instance.id".to_owned(), "forged".to_owned()),
            ("k8s.pod.name".to_owned(), "forged".to_owned()),
        ]);
        let resource = identity(&[("POD_UID", "u-1")]).resource(&extra);
        assert_eq!(attribute(&resource, "cluster").as_deref(), Some("c-1"));
        assert_eq!(attribute(&resource, "k8s.pod.name"), None, "nobody is told apart by it");
        assert_eq!(attribute(&resource, "service.instance.id").as_deref(), Some("u-1"));
    }

    #[test]
    fn a_broken_list_is_discarded_as_a_whole() {
        for broken in ["a=1,b", "a=%zz", "=1", "a=%f"] {
            assert_eq!(parse_attributes(broken), BTreeMap::new(), "{broken}");
        }
        let good =
            BTreeMap::from([("a".to_owned(), "1=2".to_owned()), ("b".to_owned(), String::new())]);
        assert_eq!(parse_attributes(" a=1=2 ,, b="), good);
    }

    #[test]
    fn no_other_variable_is_ever_asked_for() {
        let asked = RefCell::new(Vec::new());
        Identity::from_environment("1", &|name| {
            asked.borrow_mut().push(name.to_owned());
            None
        });
        let mut asked = asked.into_inner();
        asked.sort();
        assert_eq!(
            asked,
            [
                "OTEL_RESOURCE_ATTRIBUTES",
                "OTEL_SERVICE_NAME",
                "POD_NAME",
                "POD_NAMESPACE",
                "POD_UID"
            ]
        );
    }
}
