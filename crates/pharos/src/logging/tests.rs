use std::io;

use pharos_telemetry::config::Endpoint;
use pharos_telemetry::propagation::current_span;
use pharos_telemetry::{Catalogue, Config, Identity, RecordSink, Reloader};

use super::*;

/// What was logged.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

// === impl Page ===

impl Page {
    fn lines(&self) -> Vec<String> {
        let page = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(page).unwrap().lines().map(str::to_owned).collect()
    }
}

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Page {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A pipeline whose spans are recorded, though nobody is there to take them.
async fn recording() -> (Pipeline, Reloader) {
    let identity = Identity::from_environment("1.0.0", &|_| None);
    let (pipeline, mut reloader) = Pipeline::start(identity, Catalogue::new()).unwrap();
    let nobody = RecordSink::new(Endpoint::grpc("http://127.0.0.1:1").unwrap());
    let config = Config::off().with_traces("nobody", nobody);
    reloader.prepare(config).await.unwrap().commit().in_force().await;
    (pipeline, reloader)
}

/// Logs as the process does, but to a page.
fn listening(
    pipeline: &Pipeline,
    format: LogFormat,
    filter: &str,
) -> (LogLevel, Page, impl tracing::Subscriber + Send + Sync + 'static) {
    let (level, filter) = LogLevel::new(filter).unwrap();
    let page = Page::default();
    let console = console(format, page.clone(), false).with_filter(filter);
    (level, page, tracing_subscriber::registry().with(console).with(pipeline.layers()))
}

#[test]
fn a_level_with_a_typing_error_is_refused() {
    for filter in ["info", "off", "DEBUG", "info,pharos_admission=debug", "kube_client=debug"] {
        assert!(parse(filter).is_ok(), "{filter}");
    }
    for filter in ["wran", "info,a=b=c"] {
        assert!(parse(filter).is_err(), "{filter}");
    }
}

#[tokio::test]
async fn a_line_of_text_names_the_span_that_it_was_logged_in() {
    let (pipeline, _reloader) = recording().await;
    let (_, page, subscriber) = listening(&pipeline, LogFormat::Text, "info");
    let current = tracing::subscriber::with_default(subscriber, || {
        tracing::info!("outside");
        tracing::info_span!("review").in_scope(|| {
            tracing::info!(rule = "r", "inside");
            current_span().unwrap()
        })
    });
    let lines = page.lines();
    assert!(lines[0].ends_with("INFO pharos::logging::tests: outside"), "{lines:?}");
    let (trace, span) = (current.trace_id, current.span_id);
    let end = format!("inside rule=\"r\" trace_id={trace} span_id={span}");
    assert!(lines[1].ends_with(&end) && lines.len() == 2, "{lines:?}");
}

#[tokio::test]
async fn a_line_of_json_names_the_span_that_it_was_logged_in() {
    let (pipeline, _reloader) = recording().await;
    let (_, page, subscriber) = listening(&pipeline, LogFormat::Json, "info");
    let current = tracing::subscriber::with_default(subscriber, || {
        tracing::info!("outside");
        tracing::info_span!("review").in_scope(|| {
            tracing::info!(rule = "r", "inside");
            current_span().unwrap()
        })
    });
    let lines = page.lines();
    let [outside, inside] =
        [0, 1].map(|it: usize| serde_json::from_str::<serde_json::Value>(&lines[it]).unwrap());
    assert_eq!((&outside["message"], outside.get("trace_id")), (&"outside".into(), None));
    assert_eq!((&inside["message"], &inside["rule"]), (&"inside".into(), &"r".into()));
    assert_eq!(inside["trace_id"], current.trace_id.to_string());
    assert_eq!(inside["span_id"], current.span_id.to_string());
}

#[tokio::test]
async fn the_level_changes_while_the_process_runs_and_spans_do_not_care() {
    let (pipeline, _reloader) = recording().await;
    let (level, page, subscriber) = listening(&pipeline, LogFormat::Text, "warn");
    tracing::subscriber::with_default(subscriber, || {
        let say = || {
            tracing::info_span!("review").in_scope(|| {
                assert!(current_span().is_some());
                tracing::debug!("debug");
                tracing::info!("info");
            });
        };
        let mut said = |filter: &str| {
            level.set(filter).unwrap();
            assert_eq!(level.filter(), filter);
            say();
            page.lines().len()
        };
        let counts = ["warn", "debug", "off", "info", "off,pharos::logging=debug"].map(&mut said);
        assert_eq!(counts, [0, 2, 0, 1, 2]);
    });
    assert!(level.set("wran").is_err());
    assert_eq!(level.filter(), "off,pharos::logging=debug");
}
