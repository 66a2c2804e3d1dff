//! A Prometheus that scrapes, receives OTLP and answers queries.
//!
//! Owns starting it, what it scrapes, and its HTTP API. Enter at [`PrometheusServer::start`] with a
//! [`Scrape`] for each target. Reading what a target serves, without a Prometheus, is
//! [`crate::prometheus`]'s affair.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use reqwest::{Client, Url};
use serde_json::Value;

use crate::eventually::eventually;
use crate::http;
use crate::parts::{self, Part};
use crate::ports::{self, loopback};
use crate::process::{Process, StartError, keep_to_this_machine, private_directory};

mod json;
mod scrape;

pub use json::{Element, Exemplar, Health, QueryValue, Target};
pub use scrape::Scrape;

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(30);
const CONFIG: &str = "prometheus.yaml";
/// Further back than any test began, and further ahead than clocks differ.
const EXEMPLARS: Duration = Duration::from_hours(6);

/// A Prometheus on a loopback port, ended on drop.
#[derive(Debug)]
pub struct PrometheusServer {
    process: Process,
    client: Client,
    dir: PathBuf,
    port: u16,
}

// === impl PrometheusServer ===

impl PrometheusServer {
    /// Builds what is not built yet and starts a Prometheus with its files in `dir`. It scrapes
    /// these targets once a second, keeps native histograms and exemplars, and receives OTLP.
    pub async fn start(dir: &Path, scrapes: &[Scrape]) -> anyhow::Result<Self> {
        let parts = parts::ensure(&[Part::Prometheus]).await?;
        private_directory(dir)?;
        let dir = dir.canonicalize()?;
        write_config(&dir, scrapes)?;
        let program = parts.path(Part::Prometheus);
        let on_free_port = async |[port]: [u16; 1]| {
            launch(program, &dir, port).await.map(|process| (process, port))
        };
        let (process, port) =
            ports::with_free(on_free_port).await.context("Prometheus does not start")?;
        Ok(Self { process, client: http::plain()?, dir, port })
    }

    /// Scrapes these targets from now on, in place of those before.
    pub async fn scrape(&self, scrapes: &[Scrape]) -> anyhow::Result<()> {
        write_config(&self.dir, scrapes)?;
        let url = self.page("-/reload", &[])?;
        let response = self.client.post(url).send().await?;
        let (status, body) = (response.status(), response.text().await?);
        ensure!(status.is_success(), "the reload failed: {status}: {}", body.trim());
        Ok(())
    }

    /// Where it serves.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", loopback(self.port))
    }

    /// The endpoint for OTLP/HTTP, without `/v1/metrics`. It takes metrics only; deltas are summed
    /// up.
    #[must_use]
    pub fn otlp_endpoint(&self) -> String {
        format!("{}/api/v1/otlp", self.url())
    }

    /// The answer to a PromQL query as of now: an element for each series, or one without labels
    /// for a scalar.
    pub async fn query(&self, promql: &str) -> anyhow::Result<Vec<Element>> {
        let data = self.api("query", &[("query", promql)]).await?;
        json::elements(data).with_context(|| format!("cannot read the answer to {promql}"))
    }

    /// The sum of the numbers that a query gives; zero without any.
    pub async fn sum(&self, promql: &str) -> anyhow::Result<f64> {
        Ok(self.query(promql).await?.iter().filter_map(|element| element.value.number()).sum())
    }

    /// Waits until `wanted` finds what it looks for in the answer to a query, and gives that.
    pub async fn until<T>(
        &self,
        promql: &str,
        within: Duration,
        wanted: impl Fn(&[Element]) -> Option<T>,
    ) -> anyhow::Result<T> {
        eventually(&format!("Prometheus to answer {promql}"), within, async || {
            let elements = self.query(promql).await.map_err(|error| format!("{error:#}"))?;
            wanted(&elements).ok_or_else(|| format!("the answer is {elements:?}"))
        })
        .await
    }

    /// What it scrapes and how that goes.
    pub async fn targets(&self) -> anyhow::Result<Vec<Target>> {
        let data = self.api("targets", &[("state", "active")]).await?;
        json::targets(data).context("cannot read the targets")
    }

    /// The exemplars of the series that a query selects.
    pub async fn exemplars(&self, promql: &str) -> anyhow::Result<Vec<Exemplar>> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let start = now.saturating_sub(EXEMPLARS).as_secs().to_string();
        let end = (now + EXEMPLARS).as_secs().to_string();
        let parameters = [("query", promql), ("start", &start), ("end", &end)];
        let data = self.api("query_exemplars", &parameters).await?;
        json::exemplars(data).with_context(|| format!("cannot read the exemplars of {promql}"))
    }

    /// Stops it, with everything written to `dir`.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.process.terminate(STOP).await.map(drop)
    }

    /// The child process, with its log.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Lets it run on after this process.
    pub fn leave_running(self) {
        self.process.leave_running();
    }

    async fn api(&self, name: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = self.page(&format!("api/v1/{name}"), parameters)?;
        json::data(&http::get_ok(&self.client, url.as_str()).await?)
    }

    fn page(&self, path: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Url> {
        Ok(Url::parse_with_params(&format!("{}/{path}", self.url()), parameters)?)
    }
}

async fn launch(program: &Path, dir: &Path, port: u16) -> Result<Process, StartError> {
    let mut command = Command::new(program);
    keep_to_this_machine(&mut command);
    command
        .arg(format!("--config.file={}", dir.join(CONFIG).display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("prometheus-data").display()))
        .arg(format!("--web.listen-address={}", loopback(port)))
        .args(["--web.enable-otlp-receiver", "--web.enable-lifecycle"])
        // Or new targets wait for five seconds.
        .arg("--scrape.discovery-reload-interval=100ms")
        .arg("--enable-feature=exemplar-storage,otlp-deltatocumulative");
    let log = dir.join("prometheus.log");
    let mut process = Process::spawn("prometheus", &mut command, &log)?;
    process.until_it_logs("Server is ready to receive web requests", START).await?;
    Ok(process)
}

fn write_config(dir: &Path, scrapes: &[Scrape]) -> anyhow::Result<()> {
    let config = scrape::config(scrapes)?;
    fs::write(dir.join(CONFIG), config.to_string()).context("cannot write Prometheus' config")
}
