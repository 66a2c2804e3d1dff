//! `pharos telemetry check`: what the controller would say of TelemetryConfigs in files.
//!
//! ```text
//! files -> documents -> subject: schema, decode -> selection -> cluster: references (or offline)
//!       -> judge: resolve and views, the controller's own -> probe, if asked for -> verdicts -> render
//! ```
//!
//! Every problem is found at once, and printed even if others stay silent. Nothing is written
//! anywhere, and no byte of a Secret shows.

use std::process::ExitCode;

use anyhow::{Context, bail};
use jiff::Timestamp;
use kube::Client;
use pharos_api::condition::AcceptedReason;
use pharos_cluster::references::References;
use pharos_telemetry::Proxies;

use crate::arguments::telemetry::CheckArguments;
use crate::console;

use deadline::Deadline;
use selection::{Namespaces, Standing, standings};
use subject::{Inspector, Judged, Readings, Subject};
use verdict::{Finding, Severity, Verdict, Verdicts};

mod cluster;
mod deadline;
mod documents;
mod probe;
mod render;
mod schema;
mod selection;
mod subject;
mod verdict;

/// What is asked of others, of whom, and how long.
struct Inquiry {
    deadline: Deadline,
    client: Option<Client>,
    proxies: Option<Proxies>,
}

/// Checks, prints, and says by the exit code what it comes to.
pub(super) fn run(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let documents::Documents { objects, broken, skipped } = documents::read(&arguments.files)?;
    let subjects: Vec<_> =
        objects.into_iter().map(|it| Subject::of(it, &arguments.namespace)).collect();
    if subjects.is_empty() && broken.is_empty() {
        let found = skipped.iter().map(|it| format!("; {} is {}", it.file, it.kind));
        bail!("there is no TelemetryConfig in the files{}", found.take(5).collect::<String>());
    }
    let inspector = Inspector::start().context("cannot tell what views would do")?;
    let judging = async {
        let inquiry = Inquiry::of(arguments).await?;
        anyhow::Ok(inquiry.verdicts(subjects, &inspector).await)
    };
    let objects = console::runtime()?.block_on(judging)?;
    let verdicts = Verdicts::of(objects, broken, skipped);
    console::print(&render::rendered(&verdicts, arguments.output)?)?;
    Ok(verdicts.outcome.into())
}

// === impl Inquiry ===

impl Inquiry {
    async fn of(arguments: &CheckArguments) -> anyhow::Result<Self> {
        let client = match arguments.cluster {
            true => Some(console::client(arguments.kubeconfig.as_deref()).await?),
            false => None,
        };
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let proxies = arguments.probe.then(|| Proxies::from_environment(&environment));
        Ok(Self { deadline: Deadline::start(), client, proxies })
    }

    async fn verdicts(&self, mut subjects: Vec<Subject>, inspector: &Inspector) -> Vec<Verdict> {
        let namespaces = self.namespaces(&mut subjects).await;
        let standings = standings(&subjects, &namespaces);
        let mut verdicts = Vec::new();
        for (subject, standing) in subjects.into_iter().zip(standings) {
            verdicts.push(self.verdict(subject, standing, inspector).await);
        }
        verdicts
    }

    /// The objects that are there, in the namespaces of the subjects.
    async fn namespaces(&self, subjects: &mut [Subject]) -> Namespaces {
        let mut namespaces = Namespaces::new();
        let Some(client) = &self.client else { return namespaces };
        for subject in subjects {
            if namespaces.contains_key(&subject.namespace) {
                continue;
            }
            let existing = cluster::existing(client, &subject.namespace, self.deadline).await;
            let existing = existing.unwrap_or_else(|finding| {
                subject.findings.push(finding);
                Default::default()
            });
            namespaces.insert(subject.namespace.clone(), existing);
        }
        namespaces
    }

    async fn verdict(
        &self,
        mut subject: Subject,
        standing: Standing,
        inspector: &Inspector,
    ) -> Verdict {
        let Judged { resolved_refs, config, unresolved } = match &self.client {
            None => {
                subject.note_unread();
                subject.judge(Readings::Offline, inspector, Timestamp::now())
            }
            Some(client) => {
                let (read, findings): (References, _) =
                    cluster::references(client, &subject, self.deadline).await;
                subject.findings.extend(findings);
                subject.judge(Readings::Read(&read), inspector, Timestamp::now())
            }
        };
        let accepted = match subject.accepted() {
            AcceptedReason::Accepted => standing.accepted,
            invalid => invalid,
        };
        let mut probes = Vec::new();
        if let Some(proxies) = &self.proxies {
            let left_out = |name: &str| unresolved.contains(name);
            match &config {
                Some(config) => {
                    probes = probe::probes(config, &left_out, proxies, self.deadline).await;
                }
                None => subject.findings.push(Finding::new(
                    Severity::Unchecked,
                    "NotProbed",
                    "spec.exporters",
                    "not probed: mend the problems of the spec first",
                )),
            }
            subject.findings.extend(unresolved.iter().map(|name| self.not_probed(name)));
            subject.findings.extend(probes.iter().filter_map(verdict::Probed::finding));
        }
        let mut findings = subject.findings;
        findings.extend(standing.findings);
        findings.sort_by_key(|finding| finding.severity);
        Verdict {
            file: subject.file,
            namespace: subject.namespace,
            name: subject.name,
            accepted: accepted.as_str(),
            resolved_refs,
            components: standing.wins,
            findings,
            probes,
        }
    }

    fn not_probed(&self, exporter: &str) -> Finding {
        let remedy = match &self.client {
            None => "it refers to Secrets or ConfigMaps, which --cluster reads",
            Some(_) => "what it refers to is not there as it should be",
        };
        let field = format!("spec.exporters[{exporter}]");
        Finding::new(Severity::Unchecked, "NotProbed", field, format!("not probed: {remedy}"))
    }
}

#[cfg(test)]
mod tests;
