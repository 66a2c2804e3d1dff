use std::sync::Mutex;

use super::*;
use rustls::crypto::aws_lc_rs::default_provider;
use serde_json::json;
use tokio::sync::Barrier;

const DAY: u64 = 24 * 60 * 60;

fn at(days: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs((20_000 + days) * DAY))
}

fn now() -> UnixTime {
    at(0)
}

fn names(names: &[&'static str]) -> Vec<ServerName<'static>> {
    names.iter().map(|name| ServerName::try_from(*name).unwrap()).collect()
}

fn good() -> Secret {
    filled(Secret::default(), issue(&names(&["a.b.svc"]), None, now()).unwrap())
}

fn with(key: &str, value: &str) -> Secret {
    let mut secret = good();
    let data = secret.data.get_or_insert_default();
    data.insert(key.to_owned(), ByteString(value.as_bytes().to_vec()));
    secret
}

#[test]
fn what_is_found_decides() {
    let provider = default_provider();
    let cases = [
        ("nothing", None, &["a.b.svc"], 0, Err((Because::Absent, false))),
        ("good", Some(good()), &["a.b.svc"], 0, Ok(())),
        ("near its end", Some(good()), &["a.b.svc"], 306, Err((Because::ExpiresSoon, true))),
        (
            "expired",
            Some(good()),
            &["a.b.svc"],
            366,
            Err((Because::Flawed(Flaw::Unverified), false)),
        ),
        ("other names", Some(good()), &["c.d.svc"], 0, Err((Because::OtherNames, true))),
        (
            "empty",
            Some(Secret::default()),
            &["a.b.svc"],
            0,
            Err((Because::Flawed(Flaw::NoCa), false)),
        ),
        (
            "garbage",
            Some(with(CERTIFICATE, "?")),
            &["a.b.svc"],
            0,
            Err((Because::Flawed(Flaw::NoCertificate), false)),
        ),
        (
            "no key",
            Some(with(KEY, "")),
            &["a.b.svc"],
            0,
            Err((Because::Flawed(Flaw::NoKey), false)),
        ),
    ];
    for (what, found, asked, days, expected) in cases {
        let decided = match decide(found.as_ref(), &names(asked), at(days), &provider) {
            Decision::Use(_) => Ok(()),
            Decision::Issue { because, predecessor } => Err((because, predecessor.is_some())),
        };
        assert_eq!(decided, expected, "{what}");
    }
}

#[test]
fn a_replaced_secret_keeps_its_identity_and_type() {
    let found = Secret {
        metadata: ObjectMeta {
            name: Some(SECRET_NAME.to_owned()),
            resource_version: Some("7".to_owned()),
            labels: Some(BTreeMap::from([("a".to_owned(), "b".to_owned())])),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    let secret = filled(found.clone(), issue(&names(&["a.b.svc"]), None, now()).unwrap());
    assert_eq!(secret.metadata, found.metadata);
    assert_eq!(secret.type_.as_deref(), Some("Opaque"));
    assert_eq!(good().type_.as_deref(), Some("kubernetes.io/tls"));
}

/// One Secret as the API server would hold it, and what happens between a read and a write.
struct Fake {
    secret: Mutex<Option<Secret>>,
    meanwhile: Meanwhile,
}

enum Meanwhile {
    /// Everybody's first write waits until everybody has read.
    AllHaveRead(Barrier, Mutex<usize>),
    /// Somebody deletes the Secret, once.
    Deleted(Mutex<bool>),
    /// Somebody overwrites every write.
    Overwritten,
}

impl Fake {
    fn new(secret: Option<Secret>, meanwhile: Meanwhile) -> Self {
        let fake = Self { secret: Mutex::new(None), meanwhile };
        if let Some(secret) = secret {
            fake.store(secret);
        }
        fake
    }

    fn store(&self, mut secret: Secret) {
        let mut stored = self.secret.lock().unwrap();
        let version = |secret: &Secret| secret.metadata.resource_version.as_ref()?.parse().ok();
        let last: u64 = stored.as_ref().and_then(version).unwrap_or_default();
        secret.metadata.resource_version = Some((last + 1).to_string());
        *stored = Some(secret);
    }
}

impl Store for Fake {
    async fn read(&self) -> Result<Option<Secret>, kube::Error> {
        let found = self.secret.lock().unwrap().clone();
        if let Meanwhile::AllHaveRead(barrier, left) = &self.meanwhile {
            let first = {
                let mut left = left.lock().unwrap();
                let first = *left > 0;
                *left = left.saturating_sub(1);
                first
            };
            if first {
                barrier.wait().await;
            }
        }
        Ok(found)
    }

    async fn write(&self, secret: &Secret) -> Result<Write, kube::Error> {
        if let Meanwhile::Deleted(pending) = &self.meanwhile
            && std::mem::take(&mut *pending.lock().unwrap())
        {
            *self.secret.lock().unwrap() = None;
        }
        let current = self
            .secret
            .lock()
            .unwrap()
            .as_ref()
            .map(|found| found.metadata.resource_version.clone());
        if current.unwrap_or_default() != secret.metadata.resource_version {
            return Ok(Write::Lost);
        }
        self.store(secret.clone());
        if matches!(self.meanwhile, Meanwhile::Overwritten) {
            self.store(Secret::default());
        }
        Ok(Write::Done)
    }
}

async fn settle_five(found: Option<Secret>) -> Vec<Material> {
    let meanwhile = Meanwhile::AllHaveRead(Barrier::new(5), Mutex::new(5));
    let fake = Fake::new(found, meanwhile);
    let (names, provider) = (names(&["a.b.svc"]), default_provider());
    let starters = (0..5).map(|_| settle(&fake, &names, now, &provider));
    futures::future::try_join_all(starters).await.unwrap()
}

#[tokio::test]
async fn five_that_start_at_once_use_one_certificate() {
    let found = [
        ("nothing", None),
        ("an empty one", Some(Secret::default())),
        ("garbage", Some(with(CA, "garbage"))),
    ];
    for (what, found) in found {
        let settled = settle_five(found).await;
        assert!(settled.iter().all(|material| material.same_as(&settled[0])), "{what}");
    }
}

#[tokio::test]
async fn a_secret_deleted_before_it_is_replaced_is_created() {
    let fake = Fake::new(Some(Secret::default()), Meanwhile::Deleted(Mutex::new(true)));
    settle(&fake, &names(&["a.b.svc"]), now, &default_provider()).await.unwrap();
    assert_eq!(
        fake.secret.lock().unwrap().as_ref().unwrap().type_.as_deref(),
        Some("kubernetes.io/tls")
    );
}

#[tokio::test]
async fn processes_with_different_names_end_up_with_one_certificate() {
    let fake = Fake::new(None, Meanwhile::AllHaveRead(Barrier::new(1), Mutex::new(0)));
    let provider = default_provider();
    let (old, new) = (names(&["a.b.svc"]), names(&["c.d.svc"]));
    settle(&fake, &old, now, &provider).await.unwrap();
    let second = settle(&fake, &new, now, &provider).await.unwrap();
    let third = settle(&fake, &old, now, &provider).await.unwrap();
    assert!(second.same_as(&third));
}

#[tokio::test]
async fn a_secret_that_others_keep_spoiling_is_an_error_not_an_endless_loop() {
    let fake = Fake::new(None, Meanwhile::Overwritten);
    let error = settle(&fake, &names(&["a.b.svc"]), now, &default_provider()).await.unwrap_err();
    assert!(matches!(error, SettleError::Contended(Because::Flawed(Flaw::NoCa))), "{error}");
}

#[tokio::test(start_paused = true)]
async fn after_an_error_nothing_that_is_seen_cuts_the_wait_short() {
    let (asked, mut asks) = tokio::sync::mpsc::channel(8);
    let refusing = async move || {
        asked.send(tokio::time::Instant::now()).await.unwrap();
        let status = json!({"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message": "no"});
        (http::StatusCode::FORBIDDEN, axum::Json(status))
    };
    let client = kube::Client::new(axum::Router::new().fallback(refusing), "default");
    let (views, seen) = watch::channel(View::default());
    let (newest, _) = watch::channel(None);
    let provider = Arc::new(default_provider());
    let keeping =
        keep(Api::default_namespaced(client), names(&["a.b.svc"]), provider, seen, newest);
    let keeping = tokio::spawn(keeping);
    let first = asks.recv().await.unwrap();
    views.send_replace(View::default());
    let second = asks.recv().await.unwrap();
    assert!(second - first >= RETRY_AFTER);
    keeping.abort();
}
