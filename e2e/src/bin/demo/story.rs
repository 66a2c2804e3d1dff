//! What the demo shows: counters that go where `kubectl apply` says, with their totals continued.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use pharos_e2e::manifests;
use pharos_testkit::{Collector, Pharos, eventually};

use crate::console::spoken;
use crate::counters::{COUNTERS, Totals, continued};
use crate::shell::Shell;
use crate::switch::timed;

const SOON: Duration = Duration::from_secs(30);
const POLICY: &str = "e2e/manifests/policy.yaml";
const TO_PROMETHEUS: &str = "e2e/manifests/telemetryconfig-prometheus.yaml";
const CONDITIONS: &str =
    r#"jsonpath={range .status.conditions[*]}{.type}={.status} ({.reason}) {.message}{"\n"}{end}"#;

/// Who takes part, and how long things took so far.
pub(crate) struct Story<'a> {
    pub(crate) shell: Shell<'a>,
    pub(crate) pharos: &'a Pharos,
    pub(crate) collector: &'a Collector,
    pub(crate) run_dir: &'a Path,
    pub(crate) took: Vec<(&'static str, Duration)>,
}

/// The same counters, four times in a row.
struct Measured {
    scraped: Totals,
    exported: Totals,
    exported_later: Totals,
    scraped_again: Totals,
}

// === impl Story ===

impl Story<'_> {
    pub(crate) async fn tell(&mut self) -> anyhow::Result<()> {
        self.judge_objects().await?;
        let scraped = self.show_scrape().await?;
        let exported = self.switch_to_otlp(&scraped).await?;
        self.show_status().await?;
        let exported_later = self.judge_more_objects(&exported).await?;
        let scraped_again = self.switch_back(&exported_later).await?;
        self.sum_up(&Measured { scraped, exported, exported_later, scraped_again });
        Ok(())
    }

    async fn judge_objects(&self) -> anyhow::Result<()> {
        self.shell.console.step("A policy, and objects that it judges");
        self.apply_shown(POLICY).await?;
        let probe = ["create", "configmap", "probe", "-n", "shop", "--dry-run=server"];
        eventually("the policy to be in force", SOON, async || {
            match self.shell.kubectl.run(&probe).await {
                Ok(_) => Err("a ConfigMap without a team is still admitted".to_owned()),
                Err(error) if error.to_string().contains("label team") => Ok(()),
                Err(error) => Err(format!("{error:#}")),
            }
        })
        .await?;
        self.shell.console.say("In force: the API server asks Pharos from now on.");
        self.shell.attempt(&["apply", "-f", "e2e/manifests/objects.yaml"]).await?;
        Ok(())
    }

    async fn show_scrape(&self) -> anyhow::Result<Totals> {
        let console = self.shell.console;
        console.step(&format!("The counters at {}", self.pharos.metrics_url()));
        let samples = self.pharos.metrics().await?;
        let totals = Totals::scraped(&samples);
        let (allowed, denied) = totals.requests();
        ensure!(allowed > 0.0 && denied > 0.0, "no review was counted: {totals:?}");
        let rows = COUNTERS.iter().zip(totals.cells());
        let rows: Vec<_> = rows.map(|(counter, value)| [counter.label(), value]).collect();
        console.table(["counter", "/metrics"], &rows);
        Ok(totals)
    }

    async fn switch_to_otlp(&mut self, before: &Totals) -> anyhow::Result<Totals> {
        let console = self.shell.console;
        console.step("`kubectl apply` sends them to the Collector by OTLP/gRPC");
        let file = self.run_dir.join("telemetryconfig-otlp.yaml");
        fs::write(&file, manifests::telemetryconfig_otlp(&self.collector.endpoint()))?;
        let file = file.strip_prefix(manifests::repository()).unwrap_or(&file);
        let path = file.to_str().context("the path of this repository is not UTF-8")?;
        let (exported, took) =
            timed(self.apply_shown(path), self.exported_at_least(before)).await?;
        self.took.push(("Prometheus to OTLP: first export at the Collector", took));
        console.say(&format!("First export at the Collector: {} after the apply.", spoken(took)));
        let rows = COUNTERS.iter().zip(before.cells()).zip(exported.cells());
        let rows: Vec<_> = rows
            .map(|((counter, scraped), exported)| [counter.label(), scraped, exported])
            .collect();
        console.table(["counter", "/metrics before", "Collector now"], &rows);
        let (status, body) = self.pharos.scrape().await?;
        console.say(&format!("/metrics now: {status}, {}", body.trim()));
        Ok(exported)
    }

    async fn show_status(&self) -> anyhow::Result<()> {
        self.shell.console.step("The status of the TelemetryConfig");
        let settled = self.wait_for_status().await;
        // Shown also where it did not settle: it says why.
        self.shell.kubectl(&["get", "telcfg", "-n", "pharos"]).await?;
        let conditions = ["get", "telcfg", "default", "-n", "pharos", "-o", CONDITIONS];
        self.shell.kubectl(&conditions).await?;
        settled
    }

    async fn wait_for_status(&self) -> anyhow::Result<()> {
        for condition in ["Ready", "ExportHealthy"] {
            let wanted = format!("--for=condition={condition}");
            let wait = ["wait", &wanted, "telcfg/default", "-n", "pharos", "--timeout=30s"];
            self.shell.kubectl.run(&wait).await?;
        }
        Ok(())
    }

    async fn judge_more_objects(&self, before: &Totals) -> anyhow::Result<Totals> {
        self.shell.console.step("More objects: the totals go on at the Collector");
        self.shell.attempt(&["apply", "-f", "e2e/manifests/more-objects.yaml"]).await?;
        let later = eventually("more reviews at the Collector", SOON, async || {
            let totals = self.exported()?;
            let (was, is) = (before.requests(), totals.requests());
            let counted = is.0 > was.0 && is.1 > was.1;
            if counted { Ok(totals) } else { Err(format!("it holds {is:?}")) }
        })
        .await?;
        let series = continued(&self.collector.exports()?)?;
        let all = format!("{series} series, each with one start time, none ever went down.");
        self.shell.console.say(&all);
        Ok(later)
    }

    async fn switch_back(&mut self, before: &Totals) -> anyhow::Result<Totals> {
        let console = self.shell.console;
        console.step("`kubectl apply` again: back to Prometheus");
        let watch = eventually("/metrics to serve the totals", SOON, async || {
            let samples = self.pharos.metrics().await.map_err(|error| format!("{error:#}"))?;
            let totals = Totals::scraped(&samples);
            totals.covers(before).then_some(totals).ok_or_else(|| format!("it shows {totals:?}"))
        });
        let (totals, took) = timed(self.apply_shown(TO_PROMETHEUS), watch).await?;
        self.took.push(("OTLP to Prometheus: first scrape", took));
        console.say(&format!("First scrape: {} after the apply.", spoken(took)));
        Ok(totals)
    }

    fn sum_up(&self, measured: &Measured) {
        let console = self.shell.console;
        console.step("What happened");
        let Measured { scraped, exported, exported_later, scraped_again } = measured;
        let columns = [scraped, exported, exported_later, scraped_again].map(Totals::cells);
        let rows: Vec<_> = COUNTERS
            .iter()
            .enumerate()
            .map(|(row, counter)| {
                let [a, b, c, d] = columns.each_ref().map(|column| column[row].clone());
                [counter.label(), a, b, c, d]
            })
            .collect();
        let head = ["counter", "scraped", "exported", "with more objects", "scraped again"];
        console.table(head, &rows);
        console.note("");
        let took = self.took.iter().map(|(what, took)| [(*what).to_owned(), spoken(*took)]);
        console.table(["step", "took"], &took.collect::<Vec<_>>());
        let (allowed, denied) = scraped_again.requests();
        console.note("");
        console.say(&format!(
            "{allowed} requests allowed, {denied} denied by one `pharos serve` that never restarted.\n\
             Times of switches count from the end of `kubectl apply`."
        ));
    }

    async fn apply_shown(&self, path: &str) -> anyhow::Result<()> {
        self.shell.console.command(&format!("cat {path}"));
        let yaml = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        self.shell.console.output(&yaml);
        self.shell.kubectl(&["apply", "-f", path]).await
    }

    async fn exported_at_least(&self, before: &Totals) -> anyhow::Result<Totals> {
        eventually("the totals at the Collector", SOON, async || {
            let totals = self.exported()?;
            totals.covers(before).then_some(totals).ok_or_else(|| format!("it holds {totals:?}"))
        })
        .await
    }

    fn exported(&self) -> Result<Totals, String> {
        let exports = self.collector.exports().map_err(|error| format!("{error:#}"))?;
        Ok(Totals::exported(&exports))
    }
}
