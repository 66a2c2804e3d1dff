//! Pharos by itself: what telling costs it, and what a reload does to the reviews that it answers.

use std::time::Duration;

use anyhow::ensure;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use pharos_e2e::stage::{ENGINE, PATIENCE};
use pharos_testkit::bench::Section;
use pharos_testkit::{eventually, prometheus};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Place, Telemetry};
use crate::figures::{Figures, Round, median, milliseconds, ratio};
use crate::load::{Connections, Pace};
use crate::reviews::{self, Policy};

/// What a busy API server asks; every span arrives at it.
const RATE: u32 = 500;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);
const RELOADS_ROUNDS: usize = 4;
const RELOADS_ROUND: Duration = Duration::from_secs(6);
const EVERY: Duration = Duration::from_secs(1);

/// What each level of telemetry costs, as a share of the CPU time without any.
pub(crate) async fn telemetry(
    place: &Place,
    policies: &[Policy],
    section: &mut Section,
) -> anyhow::Result<()> {
    let levels = [
        Telemetry::Off,
        Telemetry::Metrics,
        Telemetry::Traces(10),
        Telemetry::Gzip(10),
        Telemetry::Traces(100),
    ];
    let pharos = place.pharos(Telemetry::Off, policies).await?;
    let caller = pharos.caller(Connections::KeptAlive).await?;
    let review = reviews::small();
    let pace = Pace::PerSecond(RATE);
    caller.call(&review, pace, ROUND).await?;
    let mut rounds = levels.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (level, rounds) in levels.into_iter().zip(&mut rounds) {
            place.configure(level).await?;
            rounds.push(Round::of(pharos.pid, &caller, &review, pace, ROUND).await?);
            ensure_all_arrived(&pharos, level).await?;
        }
    }
    let [off, ..] = &rounds;
    let policies = policies.len();
    let cpu = Figures::of(off)?.cpu.as_secs_f64() * 1e3;
    let what = format!("{policies} policies, {RATE}/s, telemetry off: CPU per review");
    section.figure(&what, format!("{cpu:.3} ms"), "");
    for (level, rounds) in levels.into_iter().zip(&rounds).skip(1) {
        let goal = match level {
            Telemetry::Off | Telemetry::Metrics => "",
            Telemetry::Traces(10) | Telemetry::Gzip(_) => "at most 5 %",
            Telemetry::Traces(_) => "at most 15 %",
        };
        let more = (ratio(rounds, off) - 1.0) * 100.0;
        let what = format!("{policies} policies, {RATE}/s, {level}: CPU over telemetry off");
        section.figure(&what, format!("{more:.1} %"), goal);
    }
    pharos.end().await
}

/// A figure of spans that were dropped would be a figure of something else.
async fn ensure_all_arrived(pharos: &Engine<'_>, level: Telemetry) -> anyhow::Result<()> {
    if level == Telemetry::Off {
        return Ok(());
    }
    let metrics = pharos.pharos()?.metrics().await?;
    let dropped = prometheus::sum(&metrics, "pharos_telemetry_dropped_items_total", &[]);
    ensure!(dropped == 0.0, "{dropped} items were dropped with {level}");
    Ok(())
}

/// A reload in every second, against none.
pub(crate) async fn reloads(
    place: &Place,
    policies: &[Policy],
    section: &mut Section,
) -> anyhow::Result<()> {
    let pharos = place.pharos(Telemetry::Traces(10), policies).await?;
    let caller = pharos.caller(Connections::KeptAlive).await?;
    let review = reviews::small();
    let pace = Pace::PerSecond(RATE);
    caller.call(&review, pace, ROUND).await?;
    let before = reloads_of(&pharos).await?;
    let (mut calm, mut reloaded) = (Vec::new(), Vec::new());
    let mut reloads = 0;
    for _ in 0..RELOADS_ROUNDS {
        calm.push(Round::of(pharos.pid, &caller, &review, pace, RELOADS_ROUND).await?);
        let done = CancellationToken::new();
        let (round, written) = tokio::join!(
            async {
                let _done = done.clone().drop_guard();
                Round::of(pharos.pid, &caller, &review, pace, RELOADS_ROUND).await
            },
            reload_until(place, &done, reloads)
        );
        reloaded.push(round?);
        reloads = written?;
    }
    let counted = eventually("every reload to be counted", PATIENCE, async || {
        let counted = reloads_of(&pharos).await.map_err(|error| error.to_string())? - before;
        let all = counted >= f64::from(reloads);
        all.then_some(counted).ok_or_else(|| format!("{counted} reloads of {reloads}"))
    })
    .await?;
    let more = calm.iter().zip(&reloaded).map(|(calm, reloaded)| {
        (reloaded.percentile(99).as_secs_f64() - calm.percentile(99).as_secs_f64()) * 1e3
    });
    let more = median(more.collect());
    let (calm, reloaded) = (Figures::of(&calm)?, Figures::of(&reloaded)?);
    let what = |what: &str| format!("{} policies, {RATE}/s, {what}", policies.len());
    section.figure(&what("no reload: p99"), milliseconds(calm.p99), "");
    section.figure(&what("a reload every second: p99"), milliseconds(reloaded.p99), "");
    section.figure(
        &what("a reload every second: p99 over that of the round before, median"),
        format!("{more:+.2} ms"),
        "at most 1 ms",
    );
    let failed = format!("0 of {}", reloaded.samples);
    section.figure(&what(&format!("failed in {counted} reloads")), failed, "0");
    pharos.end().await
}

/// Changes the views, which is the reload that rebuilds the most, and the sampler, once in a second.
/// Goes on from so many reloads, so that none of them changes nothing; says how many they are now.
async fn reload_until(
    place: &Place,
    done: &CancellationToken,
    mut reloads: u32,
) -> anyhow::Result<u32> {
    let kind = GroupVersionKind::gvk("telemetry.pharos.dev", "v1alpha1", "TelemetryConfig");
    let resource = ApiResource::from_gvk_with_plural(&kind, "telemetryconfigs");
    let api: Api<DynamicObject> =
        Api::namespaced_with(place.stage.client().await?, ENGINE, &resource);
    let mut turns = interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while done.run_until_cancelled(turns.tick()).await.is_some() {
        let excluded = ["resource_kind", "resource_namespace"][reloads as usize % 2];
        let views = json!([{
            "name": "fewer", "selector": {"instrumentName": "kyverno_admission_requests"},
            "stream": {"attributeKeys": {"excluded": [excluded]}},
        }]);
        let traces = json!({"sampler": {"ratioPerMillion": 100_000 + reloads % 2}});
        let patch = json!({"spec": {"metrics": {"views": views}, "traces": traces}});
        api.patch("default", &PatchParams::default(), &Patch::Merge(patch)).await?;
        reloads += 1;
    }
    Ok(reloads)
}

async fn reloads_of(pharos: &Engine<'_>) -> anyhow::Result<f64> {
    let metrics = pharos.pharos()?.metrics().await?;
    let name = "pharos_telemetry_reloads_total";
    Ok(prometheus::sum(&metrics, name, &[("outcome", "committed")]))
}
