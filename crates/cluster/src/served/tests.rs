use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::testing::{Answer, Asked, client, list};

const POLICY: CustomKind = CustomKind {
    group: "g.example",
    kind: "Policy",
    plural: "policies",
    versions: &["v1", "v1beta1"],
};
const OTHER: CustomKind =
    CustomKind { group: "g.example", kind: "Other", plural: "others", versions: &["v1"] };

fn resources_of(plurals: &[&str]) -> Value {
    let resource = |plural: &&str| json!({"name": plural, "singularName": "", "namespaced": false, "kind": "X", "verbs": []});
    let resources: Vec<_> = plurals.iter().map(resource).collect();
    json!({"kind": "APIResourceList", "groupVersion": "g", "resources": resources})
}

/// An API server that serves Policy in `v1beta1` from the `from`th look to before the `to`th.
fn serving(from: u32, to: u32) -> Client {
    let looks = Arc::new(AtomicU32::new(0));
    client(move |asked: Asked| {
        let beta = asked.path.starts_with("/apis/g.example/v1beta1");
        let answer = match asked.path.as_str() {
            "/apis/g.example/v1beta1" => {
                let look = looks.fetch_add(1, Ordering::SeqCst);
                let there = (from..to).contains(&look);
                Answer::Object(resources_of(if there {
                    &["policies", "policies/status"]
                } else {
                    &[]
                }))
            }
            _ if beta && asked.watches() => Answer::Quiet,
            _ if beta => {
                Answer::Object(list("1", &[json!({"metadata": {"name": "a", "uid": "1"}})]))
            }
            _ => Answer::Refused(404),
        };
        std::future::ready(answer)
    })
}

#[tokio::test]
async fn a_kind_is_read_in_the_first_version_that_is_served() {
    let served = look(&serving(0, 1), &[POLICY, OTHER]).await.unwrap();
    assert_eq!(served.version(&POLICY), Some("v1beta1"));
    assert_eq!(served.version(&OTHER), None);
    let away = client(async |_| Answer::Refused(503));
    assert!(look(&away, &[POLICY]).await.is_err(), "no answer is not an absent kind");
}

#[test]
fn a_kind_has_to_be_missing_several_times_to_be_gone() {
    let there: Served = [(POLICY, "v1")].into_iter().collect();
    let mut belief = Belief::default();
    assert!(!belief.take(there.clone()));
    for _ in 1..MISSED {
        assert!(belief.take(Served::default()), "it is asked about again soon");
        assert_eq!(belief.served, there);
    }
    assert!(!belief.take(Served::default()));
    assert_eq!(belief.served, Served::default());
    assert!(!belief.take(there.clone()));
    assert!(belief.take(Served::default()));
    belief.take(there.clone());
    assert!(belief.take(Served::default()), "what was missing once is forgiven when it is back");
    assert_eq!(belief.served, there);
}

#[tokio::test(start_paused = true)]
async fn an_absent_kind_is_known_to_be_empty_and_is_watched_from_when_it_comes_until_it_goes() {
    let client = serving(2, 5);
    let (tell, served) = watch::channel(None);
    let (sender, mut view) = watch::channel(View::default());
    let names = |view: &View<DynamicObject>| {
        let objects = view.objects.as_ref()?;
        Some(objects.values().map(|it| it.name().to_owned()).collect::<Vec<_>>())
    };
    let following = follow(client.clone(), POLICY, served, sender);
    let looking = keep(client, &[POLICY], tell);
    let told = async {
        for expected in [&[][..], &["a"], &[]] {
            view.wait_for(|view| names(view).is_some_and(|names| names == expected)).await.unwrap();
            assert_eq!(view.borrow().trouble, None);
        }
    };
    tokio::select! {
        () = following => panic!("it ended by itself"),
        () = looking => panic!("nobody looks any more"),
        () = told => {}
    }
}
