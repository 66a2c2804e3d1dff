//! Pharos and Kyverno side by side: the same policies, the same reviews, in turns, at the webhook.
//! `make bench-compare` runs it.
//!
//! Each engine has a control plane of its own and is called as it has registered itself: by its URL or
//! its Service, trusting its authority. [`beside`] measures both, [`alone`] what only Pharos promises.
//! [`engine`] is what is called, [`load`] the caller, [`reviews`] what is sent, [`figures`] what it
//! comes to.

use pharos_e2e::stage::Stage;
use pharos_testkit::bench::Section;

use beside::{Setting, Tables};
use engine::{Place, Telemetry};

mod alone;
mod beside;
mod engine;
mod figures;
mod load;
mod reviews;

fn main() -> anyhow::Result<()> {
    let mut section = Section::new(
        "compare",
        "Beside Kyverno 1.19.1",
        "Reviews of a Pod that passes, sent to both webhooks as they are registered, over TLS and \
         HTTP/1.1 without resumption. CPU time is that of the engine's process, and of the kernel for \
         it; of a review, the median of the rounds. Percentiles are over the reviews of all rounds. The policies are \
         those of the Pod Security Standards in Kyverno's library, and two for what it lacks. Telemetry \
         is pushed by OTLP every two seconds, uncompressed but where gzip is named, to a Collector on \
         the same machine.",
    );
    let caller = if cfg!(debug_assertions) { "not optimised" } else { "optimised" };
    section.figure("build of the caller", caller, "");
    tokio::runtime::Runtime::new()?.block_on(measure(&mut section))?;
    Ok(section.publish()?)
}

async fn measure(section: &mut Section) -> anyhow::Result<()> {
    let [one, all] = reviews::policies()?;
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    let theirs = Place::new(Stage::bare().await?, &dir.join("their-collector")).await?;
    let ours = Place::new(Stage::set().await?, &dir.join("our-collector")).await?;
    ours.stage.cluster.kubectl(&["delete", "vpol", "--all"]).await?;
    let mut tables = Tables::new();
    for policies in [&one[..], &all] {
        for telemetry in [Telemetry::Off, Telemetry::Traces(10)] {
            let setting = Setting { policies, telemetry };
            beside::measure(&theirs, &ours, &dir.join("kyverno"), setting, &mut tables).await?;
        }
        alone::telemetry(&ours, policies, section).await?;
    }
    alone::reloads(&ours, &all, section).await?;
    tables.publish(section);
    Ok(())
}
