//! What a spec refers to, in every state that it can be in.

use pharos_api::condition::ResolvedRefsReason;
use pharos_cluster::references::{DataObject, Found, Reading};
use pharos_telemetry::config::ScrapeTransport;
use pharos_testkit::pki::{Authority, Leaf, Pair};

use super::*;

/// A spec with a reference at every place.
fn everywhere() -> Value {
    let scrapes = json!({
        "certificateRef": {"name": "serving"},
        "clientCARef": {"kind": "Secret", "name": "scrapers", "key": "ca.pem"},
    });
    let tls = json!({
        "caRef": {"name": "trusted"},
        "clientCertificateRef": {"name": "client"},
        "serverName": "c.example",
    });
    let header = json!({"secretKeyRef": {"name": "token", "key": "value"}});
    let otlp = json!({
        "protocol": "GRPC", "endpoint": "https://c:4317", "tls": tls,
        "headers": [{"name": "authorization", "valueFrom": header}, {"name": "x", "value": "y"}],
    });
    json!({
        "exporters": [
            {"name": "p", "type": "Prometheus", "prometheus": {"tls": scrapes}},
            {"name": "o", "type": "OTLP", "otlp": otlp},
        ],
        "metrics": {"exporters": ["p", "o"]},
    })
}

/// What can be read, by object and key.
#[derive(Clone)]
struct Cluster(BTreeMap<DataObject, BTreeMap<String, Vec<u8>>>);

impl Cluster {
    /// Everything that [`everywhere`] refers to, all of it good.
    fn good() -> Self {
        let authority = Authority::new("a").unwrap();
        let mut cluster = Self(BTreeMap::new());
        cluster.pair("serving", &authority.server(&["p"]).unwrap());
        cluster.pair("client", &authority.client("c").unwrap());
        cluster.set(DataObject::secret("scrapers"), "ca.pem", authority.pem());
        cluster.set(DataObject::config_map("trusted"), "ca.crt", authority.pem());
        cluster.set(DataObject::secret("token"), "value", "Bearer hunter2\n");
        cluster
    }

    fn set(&mut self, object: DataObject, key: &str, value: impl Into<Vec<u8>>) {
        self.0.entry(object).or_default().insert(key.to_owned(), value.into());
    }

    fn pair(&mut self, name: &str, pair: &Pair) {
        self.set(DataObject::secret(name), "tls.crt", &*pair.certificate_pem);
        self.set(DataObject::secret(name), "tls.key", &*pair.key_pem);
    }

    /// What is read of what is wanted.
    fn references(&self, spec: &TelemetryConfigSpec) -> References {
        let read = |(object, keys): (DataObject, BTreeSet<String>)| {
            let reading = match self.0.get(&object) {
                None => Reading::Missing,
                Some(data) => {
                    let value = |key: &String| data.get(key).map(|it| it.clone().into());
                    let values = keys.iter().map(|key| (key.clone(), value(key)));
                    Reading::Found(Found::new("u", "1", values))
                }
            };
            (object, reading)
        };
        wanted(&references_of(spec)).into_iter().map(read).collect()
    }

    fn resolve(&self) -> Result<Resolved, Problems> {
        let spec = spec(everywhere());
        resolve(&spec, &self.references(&spec), Timestamp::now())
    }

    /// The only problem: its field and reason, and the message.
    fn problem(&self) -> (String, ResolvedRefsReason, String) {
        let problems = self.resolve().unwrap_err();
        let [problem] = problems.iter().collect::<Vec<_>>()[..] else { panic!("{problems}") };
        assert_eq!(problems.of_spec(), None);
        assert!(!format!("{problems} {problems:?}").contains("hunter2"));
        (problem.field.clone(), problems.references_reason().unwrap(), problem.message.clone())
    }
}

#[test]
fn everything_that_is_read_is_in_the_one_list_and_nothing_else() {
    let spec = spec(everywhere());
    let references = references_of(&spec);
    let places: Vec<_> =
        references.iter().map(|it| it.place).collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(places, Place::ALL, "a place that no test knows");
    // With nothing read, whatever is read is a problem of its own.
    let problems = resolve(&spec, &References::default(), Timestamp::now()).unwrap_err();
    let read: BTreeSet<_> =
        problems.iter().map(|it| (it.field.clone(), it.object.clone().unwrap())).collect();
    let listed: BTreeSet<_> =
        references.iter().map(|it| (it.field.clone(), it.object.clone())).collect();
    assert_eq!(read, listed);
    assert!(problems.will_pass());
    assert_eq!(problems.references_reason(), Some(ResolvedRefsReason::Pending));
}

#[test]
fn the_path_of_a_place_is_that_of_its_references() {
    let spec = spec(everywhere());
    for Reference { field, place, .. } in references_of(&spec) {
        let mut path = String::new();
        let mut name = false;
        for letter in field.chars() {
            match letter {
                '[' => (name, path) = (true, path + "[]"),
                ']' => name = false,
                letter if !name => path.push(letter),
                _ => {}
            }
        }
        assert_eq!(path, place.path());
    }
    let kinds: Vec<_> = Place::ALL.into_iter().filter_map(Place::kind_field).collect();
    assert_eq!(kinds, ["kind", "kind"]);
}

#[test]
fn material_reaches_the_exporters_that_name_it() {
    let resolved = Cluster::good().resolve().unwrap();
    let receiver = receiver(&resolved.config);
    let token = Header::parse("authorization", "Bearer hunter2").unwrap();
    assert_eq!(receiver.headers[0], token, "one newline at the end is not part of the value");
    let shown = serde_json::to_value(&resolved.config).unwrap();
    let tls = &shown["metrics"]["sinks"]["o"]["otlp"]["tls"];
    assert_eq!(tls["roots"]["bundle"]["certificates"], 1, "{tls}");
    assert_eq!(tls["clientCertificate"]["certificates"], 1, "{tls}");
    assert_eq!(tls["serverName"], "c.example");
    let MetricSink::Prometheus(ScrapeTransport::Tls(server)) = &resolved.config.metrics.sinks["p"]
    else {
        panic!("{shown}")
    };
    assert!(server.client_ca.is_some());
    assert!(!format!("{resolved:?} {shown}").contains("hunter2"));
}

#[test]
fn new_material_is_another_configuration_and_equal_material_is_not() {
    let mut cluster = Cluster::good();
    let before = cluster.resolve().unwrap();
    assert_eq!(cluster.clone().resolve().unwrap(), before);
    cluster.pair("client", &Authority::new("b").unwrap().client("c").unwrap());
    assert_ne!(cluster.resolve().unwrap().config, before.config);
}

#[test]
fn every_state_of_a_reference_has_its_reason_and_remedy() {
    use ResolvedRefsReason::{ConfigMapNotFound, SecretKeyMissing, SecretNotFound};
    let otlp = "spec.exporters[o].otlp";
    let header = format!("{otlp}.headers[authorization].valueFrom.secretKeyRef");
    let ca = format!("{otlp}.tls.caRef");
    let (token, trusted) = (DataObject::secret("token"), DataObject::config_map("trusted"));
    for (object, keys, field, reason, words) in [
        (&token, None, &header, SecretNotFound, "create Secret \"token\""),
        (&token, Some(()), &header, SecretKeyMissing, "key \"value\" to Secret \"token\""),
        (&trusted, None, &ca, ConfigMapNotFound, "create ConfigMap \"trusted\""),
        (&trusted, Some(()), &ca, ConfigMapNotFound, "key \"ca.crt\" to ConfigMap \"trusted\""),
    ] {
        let mut cluster = Cluster::good();
        match keys {
            None => drop(cluster.0.remove(object)),
            Some(()) => cluster.0.get_mut(object).unwrap().clear(),
        }
        let found = cluster.problem();
        assert_eq!((&found.0, found.1), (field, reason));
        assert!(found.2.contains(words), "{}", found.2);
    }
}

#[test]
fn a_refused_read_names_the_rule_that_is_missing() {
    let spec = spec(everywhere());
    let token = DataObject::secret("token");
    let refused: References = [(token.clone(), Reading::Forbidden)].into_iter().collect();
    let references = Cluster::good().references(&spec).with([&token], &refused);
    let problems = resolve(&spec, &references, Timestamp::now()).unwrap_err();
    assert_eq!(problems.references_reason(), Some(ResolvedRefsReason::RefNotPermitted));
    assert!(problems.summary().contains(&token.rule()), "{problems}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_with_what_is_wrong() {
    use ResolvedRefsReason::{CertificateExpired, InvalidCertificate, KeyPairMismatch};
    let authority = Authority::new("a").unwrap();
    let good = authority.client("c").unwrap();
    let issue = |leaf: Leaf| authority.issue(&leaf).unwrap();
    let other = authority.client("other").unwrap();
    let pair = |certificate: &str, key: &str| Pair {
        certificate_pem: certificate.to_owned(),
        key_pem: key.to_owned(),
    };
    let client = "spec.exporters[o].otlp.tls.clientCertificateRef";
    for (broken, reason) in [
        (issue(Leaf::client("c").expired()), CertificateExpired),
        (issue(Leaf::client("c").not_yet_valid()), InvalidCertificate),
        (pair(&good.certificate_pem, &other.key_pem), KeyPairMismatch),
        (pair("", &good.key_pem), InvalidCertificate),
        (pair("garbage", &good.key_pem), InvalidCertificate),
        (pair(&good.certificate_pem, "garbage"), InvalidCertificate),
        (pair(&good.key_pem, &good.certificate_pem), InvalidCertificate),
    ] {
        let mut cluster = Cluster::good();
        cluster.pair("client", &broken);
        let (field, found, message) = cluster.problem();
        assert_eq!((field.as_str(), found), (client, reason), "{message}");
        assert!(
            message.starts_with("Secret \"client\", \"tls.crt\" and \"tls.key\": "),
            "{message}"
        );
    }
    let mut cluster = Cluster::good();
    cluster.set(DataObject::config_map("trusted"), "ca.crt", "garbage");
    assert_eq!(cluster.problem().1, InvalidCertificate);
}

#[test]
fn a_value_that_no_header_may_have_is_refused_without_it() {
    let token = DataObject::secret("token");
    for value in ["hunter2\n\n", "hunter2\nx: y", "h\u{e4}hunter2", "hunter2\0"] {
        let mut cluster = Cluster::good();
        cluster.set(token.clone(), "value", value);
        let (_, reason, message) = cluster.problem();
        assert_eq!(reason, ResolvedRefsReason::InvalidHeaderValue);
        assert!(message.contains("\"value\"") && message.contains("Secret \"token\""), "{message}");
    }
    let mut cluster = Cluster::good();
    cluster.set(token.clone(), "value", [0xff, 0xfe]);
    assert_eq!(cluster.problem().1, ResolvedRefsReason::InvalidHeaderValue);
    for newline in ["hunter2", "hunter2\n", "hunter2\r\n"] {
        cluster.set(token.clone(), "value", newline);
        let header = receiver(&cluster.resolve().unwrap().config).headers[0].clone();
        assert_eq!(header, Header::parse("authorization", "hunter2").unwrap());
    }
}

#[test]
fn all_problems_are_found_at_once_and_the_gravest_gives_the_reason() {
    let mut value = everywhere();
    value["metrics"]["exportPeriodSeconds"] = json!(0);
    let spec = spec(value);
    let mut cluster = Cluster::good();
    cluster.0.remove(&DataObject::secret("client"));
    cluster.set(DataObject::secret("token"), "value", "\u{e4}");
    let problems = resolve(&spec, &cluster.references(&spec), Timestamp::now()).unwrap_err();
    assert_eq!(problems.iter().count(), 3);
    assert_eq!(problems.accepted_reason(), Some(AcceptedReason::Invalid));
    assert_eq!(problems.references_reason(), Some(ResolvedRefsReason::SecretNotFound));
    assert_eq!(problems.of_spec().unwrap().iter().count(), 1);
    assert_eq!(check(&spec).unwrap_err(), problems.of_spec().unwrap());
    assert!(!problems.will_pass());
}

#[test]
fn the_first_end_is_told_and_what_ends_soon() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let authority = Authority::new("a").unwrap();
    for (remaining, lived, soon) in [
        (hours(24 * 60), hours(24 * 30), false),
        (hours(24 * 13), hours(24 * 77), true),
        (hours(24 * 15), hours(24 * 75), false),
        // A third of a day is when cert-manager renews; a fifth is late.
        (hours(8), hours(16), false),
        (hours(4), hours(20), true),
    ] {
        let now = std::time::SystemTime::now();
        let leaf = Leaf::client("c").valid(now - lived..now + remaining);
        let mut cluster = Cluster::good();
        cluster.pair("client", &authority.issue(&leaf).unwrap());
        // Or the other certificate, valid for days, would be the first to end.
        let long = Leaf::server(&["p"]).valid_for(hours(24 * 365));
        cluster.pair("serving", &authority.issue(&long).unwrap());
        let expiry = cluster.resolve().unwrap().expiry;
        let next = expiry.next.unwrap().as_second();
        let end = Timestamp::try_from(now + remaining).unwrap().as_second();
        assert!((next - end).abs() <= 1, "{next} {end}");
        assert_eq!(!expiry.soon.is_empty(), soon, "{remaining:?} of {lived:?}: {expiry:?}");
        if let [said] = &expiry.soon[..] {
            assert!(
                said.starts_with("spec.exporters[o].otlp.tls.clientCertificateRef: "),
                "{said}"
            );
        }
    }
}

#[test]
fn authorities_that_overlap_do_not_expire_soon_while_one_lives_longer() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let now = std::time::SystemTime::now();
    let authority = Authority::new("a").unwrap();
    let ends = |end| {
        let leaf = Leaf::client("c").valid(now - hours(48)..end);
        authority.issue(&leaf).unwrap().certificate_pem
    };
    let (gone, going) = (ends(now - hours(24)), ends(now + hours(24)));
    let (soon, coming) = (ends(now + hours(48)), ends(now + hours(24 * 365)));
    for (bundle, warns) in [
        (format!("{gone}{going}{coming}"), false),
        (format!("{gone}{going}{soon}"), true),
        (going.clone(), true),
    ] {
        let mut cluster = Cluster::good();
        for pair in ["client", "serving"] {
            let leaf = Leaf::client("c").valid_for(hours(24 * 365));
            cluster.pair(pair, &authority.issue(&leaf).unwrap());
        }
        cluster.set(DataObject::config_map("trusted"), "ca.crt", &*bundle);
        let expiry = cluster.resolve().unwrap().expiry;
        assert_eq!(!expiry.soon.is_empty(), warns, "{expiry:?}");
        let end = Timestamp::try_from(now + hours(24)).unwrap().as_second();
        assert_eq!(expiry.next.unwrap().as_second(), end, "and not what is over");
        let secrets: Vec<_> = expiry.certificates.iter().map(|it| it.secret.as_str()).collect();
        assert_eq!(secrets, ["client", "serving"]);
    }
}
