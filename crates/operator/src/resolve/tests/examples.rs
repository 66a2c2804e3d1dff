//! The examples, the project's own and the shared ones where they lie beside the project.

use std::path::{Path, PathBuf};

use pharos_cluster::references::{Found, Reading};
use pharos_testkit::pki::Authority;

use super::*;

fn good_examples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    ["docs/examples/telemetryconfig/good", "../shared/examples/telemetryconfig/good"]
        .iter()
        .filter_map(|dir| std::fs::read_dir(root.join(dir)).ok())
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect()
}

/// Everything that the references of a spec ask for, with something good in it.
fn material(references: &BTreeSet<Reference>) -> References {
    let authority = Authority::new("examples").unwrap();
    let pair = authority.client("examples").unwrap();
    let value = |place: Place, key: &str| match (place, key) {
        (Place::HeaderValue, _) => "Bearer x\n".to_owned(),
        (Place::ReceiverCa | Place::ScraperCa, _) => authority.pem(),
        (_, "tls.crt") => pair.certificate_pem.clone(),
        (_, "tls.key") => pair.key_pem.clone(),
        (place, key) => panic!("{place:?} reads {key}"),
    };
    let found = |reference: &Reference| {
        let values = reference.keys.iter().map(|key| {
            let value = value(reference.place, key).into_bytes();
            (key.clone(), Some(value.into()))
        });
        (reference.object.clone(), Reading::Found(Found::new("u", "1", values)))
    };
    references.iter().map(found).collect()
}

#[test]
fn every_good_example_resolves_given_what_it_refers_to() {
    let files = good_examples();
    assert!(files.len() > 5, "{files:?}");
    let mut places = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let object: TelemetryConfig = serde_saphyr::from_str(&text).unwrap();
        let references = references_of(&object.spec);
        places.extend(references.iter().map(|reference| reference.place));
        let resolved = resolve(&object.spec, &material(&references), Timestamp::now());
        let resolved = resolved.unwrap_or_else(|it| panic!("{}: {it}", file.display()));
        assert!(resolved.expiry.soon.is_empty(), "{:?}", resolved.expiry);
        let reads_certificates =
            references.iter().any(|reference| reference.place != Place::HeaderValue);
        assert_eq!(resolved.expiry.next.is_some(), reads_certificates);
    }
    assert!(places.len() >= 4, "the examples show nearly every place: {places:?}");
}
