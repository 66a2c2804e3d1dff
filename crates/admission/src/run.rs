//! The whole of the component: wired, run, and ended in order.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Client};
use pharos_cluster::Readiness;
use pharos_cluster::discovery::{self, Resources};
use pharos_cluster::election::Leadership;
use pharos_cluster::tasks::Tasks;
use pharos_cluster::view::{self, View};
use pharos_instruments::Instruments;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::certificate_secret::{self, SECRET_NAME};
use crate::configuration::Configuration;
use crate::events::{self, EventOptions, Events};
use crate::namespaces::{Known, Namespaces};
use crate::policies::{ExceptionNamespaces, Policies};
use crate::policy_status::{PolicyStatus, StatusWriter};
use crate::record::Facts;
use crate::reports::{self, Reporting, Reports};
use crate::review::memory::Memory;
use crate::routes::{self, Knowledge, Refusal, Webhook};
use crate::server::limits::{InFlight, Limits};
use crate::server::{self, Connections, Patience, Server};
use crate::target::WebhookTarget;
use crate::webhook_configuration::{self, Places, Registration};
use crate::{
    configuration, inventory, namespaces, policies, policy_review, readiness, roles, serving, tls,
};

/// What the command line says about the webhook.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where the API server reaches it.
    pub target: WebhookTarget,
    /// The engine's own namespace: where its Secret is, and what no policy sees.
    pub namespace: String,
    /// Other namespaces that no policy sees.
    pub exempt_namespaces: BTreeSet<String>,
    /// The ClusterRole that owns what is registered with the API server, so that garbage collection
    /// removes it when Pharos is uninstalled.
    pub owner: Option<String>,
    /// The ConfigMap of Kyverno's in the engine's namespace.
    pub config_map: String,
    /// Who writes the status of policies.
    pub policy_status: PolicyStatus,
    /// The namespaces whose PolicyExceptions count.
    pub exceptions: ExceptionNamespaces,
    /// What is told by Events.
    pub events: EventOptions,
    /// Where results of admissions are told that no scan asks for.
    pub reporting: Reporting,
    /// The name of this process in Events: that of its Pod.
    pub reporter: String,
    /// How much is taken on at a time.
    pub limits: Limits,
    /// How long reviews are still accepted after it was told to end.
    pub shutdown_delay: Duration,
}

/// The admission webhook, ready to run.
pub struct Admission {
    client: Client,
    facts: Arc<dyn Facts>,
    instruments: Instruments,
    options: Options,
    leadership: watch::Receiver<Leadership>,
    policies: watch::Sender<Option<Arc<Policies>>>,
    readiness: watch::Sender<Readiness>,
}

/// What the API server holds, as it is watched.
#[derive(Clone)]
struct Views {
    secret: watch::Receiver<View<PartialObjectMeta<Secret>>>,
    configuration: watch::Receiver<View<ValidatingWebhookConfiguration>>,
    policies: policies::Sources,
}

/// What reviews are answered with.
#[derive(Clone)]
struct Means {
    policies: watch::Receiver<Option<Arc<Policies>>>,
    resources: watch::Receiver<Option<Arc<Resources>>>,
    knowledge: Knowledge,
    namespaces: watch::Receiver<Known>,
    newest: tls::Served,
    served: tls::Served,
    tls: ServerConfig,
}

// === impl Admission ===

impl Admission {
    /// A webhook that does nothing until it runs.
    pub fn new(
        client: Client,
        instruments: Instruments,
        options: Options,
        leadership: watch::Receiver<Leadership>,
    ) -> Self {
        let facts = Arc::new(instruments.clone());
        Self::recording_to(facts, instruments, client, options, leadership)
    }

    fn recording_to(
        facts: Arc<dyn Facts>,
        instruments: Instruments,
        client: Client,
        options: Options,
        leadership: watch::Receiver<Leadership>,
    ) -> Self {
        let (readiness, _) = watch::channel(Readiness::waiting_for("the webhook to start"));
        let (policies, _) = watch::channel(None);
        Self { client, facts, instruments, options, leadership, policies, readiness }
    }

    /// Whether the API server can be sent here.
    pub fn readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.subscribe()
    }

    /// The policies, for another component of this process.
    pub fn policies(&self) -> watch::Receiver<Option<Arc<Policies>>> {
        self.policies.subscribe()
    }

    /// Serves until `shutdown`: then readiness goes at once, reviews are accepted for the delay,
    /// those in flight finish, and every task is joined.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened on, or if a part of it ended by itself.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let listener = server::bind(self.options.listen)?;
        self.run_on(listener, shutdown).await
    }

    async fn run_on(self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), Error> {
        let readiness = self.readiness.clone();
        let leaving = shutdown.child_token();
        let mut tasks = Tasks::default();
        let views = self.watch(&mut tasks);
        let means = self.provide(&mut tasks, &views)?;
        let events = self.publish(&mut tasks);
        let answered = CancellationToken::new();
        let reports = self.report(&mut tasks, answered.clone());
        self.tell(&mut tasks, views, &means, events.clone(), &leaving);
        let namespaces = Namespaces::new(Api::all(self.client), means.namespaces);
        let Options { limits, exceptions, policy_status: whose, .. } = self.options;
        let (facts, memory) = (self.facts.clone(), Memory::new(limits.parsed_bytes));
        let webhook = Webhook::new(means.knowledge, namespaces, facts, events, reports, memory);
        let policy_webhook = policy_review::router(webhook.clone(), self.facts, whose, exceptions);
        let router = routes::router(&webhook, policy_webhook);
        let router = server::limited(router, InFlight::new(webhook.clone(), limits));
        let router = server::parting(router, leaving.clone());
        let connections = Connections::new(limits.connections, move || {
            webhook.count(&Refusal::TooManyConnections);
        });
        let mut server = Server::start(
            listener,
            means.tls,
            router,
            self.instruments,
            Patience::DEFAULT,
            connections,
        )?;
        let Options { listen, target, shutdown_delay, .. } = self.options;
        tracing::info!(%listen, %target, "the webhook listens");

        let outcome = tokio::select! {
            biased;
            () = shutdown.cancelled() => Ok(()),
            died = server.died() => Err(died),
            died = tasks.died() => Err(died.into()),
        };
        leaving.cancel();
        // At once, and even if it is the task that judges readiness which died.
        readiness::leave(&readiness);
        let delay = if outcome.is_ok() { shutdown_delay } else { Duration::ZERO };
        let ended = server.end(tokio::time::sleep(delay)).await;
        answered.cancel();
        let joined = tasks.join().await.map_err(Error::from);
        readiness.send_replace(Readiness::NotReady("the webhook has ended".to_owned()));
        outcome.and(ended).and(joined)
    }

    /// From the API server: what it holds.
    fn watch(&self, tasks: &mut Tasks) -> Views {
        let named =
            |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
        let (secrets, secret) = watch::channel(View::default());
        let api = Api::namespaced(self.client.clone(), &self.options.namespace);
        let what = "the certificate Secret";
        let keep = view::keep_metadata(api, named(SECRET_NAME), what, secrets);
        tasks.spawn("watches the Secret", keep);

        let (configurations, configuration) = watch::channel(View::default());
        let api = Api::all(self.client.clone());
        let by_name = named(&Registration::name_in(&self.options.namespace));
        let what = "the ValidatingWebhookConfiguration";
        let keep = view::keep(api, by_name, what, configurations);
        tasks.spawn("watches the webhook configuration", keep);

        let policies = policies::Sources::watch(&self.client, tasks);
        Views { secret, configuration, policies }
    }

    /// From what it holds: what is needed to answer.
    fn provide(&self, tasks: &mut Tasks, views: &Views) -> Result<Means, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (certificates, newest) = watch::channel(None);
        let keep = certificate_secret::keep(
            Api::namespaced(self.client.clone(), &self.options.namespace),
            self.options.target.server_names(),
            provider.clone(),
            views.secret.clone(),
            certificates,
        );
        tasks.spawn("keeps the certificate", keep);

        let (choices, served) = watch::channel(None);
        let keep = tls::keep(newest.clone(), views.configuration.clone(), choices);
        tasks.spawn("chooses the certificate", keep);

        let (compiled, policies) = (self.policies.clone(), self.policies.subscribe());
        let exceptions = self.options.exceptions.clone();
        let keep = policies::keep(views.policies.clone(), exceptions, compiled);
        tasks.spawn("compiles policies", keep);
        let (discovered, resources) = watch::channel(None);
        let keep = discovery::keep(self.client.clone(), discovered);
        tasks.spawn("asks which resources are served", keep);
        let knowledge = self.know(tasks, views, &policies, &resources);
        let (rendered, namespaces) = watch::channel(Known::default());
        let needed = needed(policies.clone(), |policies| policies.need_namespaces());
        let keep = namespaces::keep(Api::all(self.client.clone()), needed, rendered);
        tasks.spawn("watches namespaces", keep);
        let tls = tls::server_config(served.clone(), provider)?;
        Ok(Means { policies, resources, knowledge, namespaces, newest, served, tls })
    }

    /// What reviews are judged by.
    fn know(
        &self,
        tasks: &mut Tasks,
        views: &Views,
        policies: &watch::Receiver<Option<Arc<Policies>>>,
        resources: &watch::Receiver<Option<Arc<Resources>>>,
    ) -> Knowledge {
        let (sets, serving) = watch::channel(None);
        let sources = serving::Sources {
            policies: policies.clone(),
            resources: resources.clone(),
            view: views.configuration.clone(),
        };
        tasks.spawn("knows which policies a call is for", serving::keep(sources, sets));

        let (read, configuration) = watch::channel(None);
        let api = Api::namespaced(self.client.clone(), &self.options.namespace);
        let keep = configuration::keep(api, self.options.config_map.clone(), read);
        tasks.spawn("reads Kyverno's ConfigMap", keep);

        let (bound, roles) = watch::channel(None);
        let by_policies = needed(policies.clone(), Policies::need_roles);
        let by_configuration = needed(configuration.clone(), Configuration::needs_roles);
        let needed = async {
            tokio::select! {
                () = by_policies => {}
                () = by_configuration => {}
            }
        };
        tasks.spawn("watches who has which roles", roles::keep(self.client.clone(), needed, bound));
        Knowledge { serving, configuration, roles }
    }

    /// Where Events are handed in.
    fn publish(&self, tasks: &mut Tasks) -> Events {
        let Options { events, reporter, .. } = &self.options;
        let client = self.client.clone();
        let (events, publisher) = events::events(client, events, reporter, self.facts.clone());
        tasks.spawn("publishes Events", publisher.run());
        events
    }

    /// Where results of admissions are handed in, until every review is `answered`.
    fn report(&self, tasks: &mut Tasks, answered: CancellationToken) -> Reports {
        let Reporting::In(api) = self.options.reporting else { return Reports::Untold };
        let (reports, writer) = reports::reports(self.client.clone(), api, self.facts.clone());
        let write = writer.run(answered.clone());
        tasks.spawn_to_its_end("writes results of admissions", answered, write);
        reports
    }

    /// To the API server and to whoever asks: what is true of us.
    fn tell(
        &self,
        tasks: &mut Tasks,
        views: Views,
        means: &Means,
        events: Events,
        leaving: &CancellationToken,
    ) {
        let Means { policies, resources, newest, served, .. } = means.clone();
        let sources = readiness::Sources {
            objects: views.policies,
            policies: policies.clone(),
            newest: newest.clone(),
            served: served.clone(),
            view: views.configuration.clone(),
        };
        let keep = inventory::keep(policies.clone(), self.facts.clone());
        tasks.spawn("tells of policies", keep);
        let count =
            inventory::count(policies.clone(), "policycache-controller", self.facts.clone());
        tasks.spawn("counts sets of policies", count);
        let count = inventory::count(newest.clone(), "certmanager-controller", self.facts.clone());
        tasks.spawn("counts certificates", count);
        tasks.spawn(
            "judges readiness",
            readiness::keep(sources, self.readiness.clone(), leaving.clone()),
        );

        let (tell_places, places) = watch::channel(Places::default());
        let writer = StatusWriter::new(
            self.client.clone(),
            &self.options.namespace,
            self.options.policy_status,
            policies.clone(),
            places,
            self.leadership.clone(),
            events,
        );
        tasks.spawn("writes policy status", writer.run());

        let sources = webhook_configuration::Sources {
            leadership: self.leadership.clone(),
            policies,
            resources,
            newest,
            served,
            view: views.configuration,
        };
        let registration = Registration {
            target: self.options.target.clone(),
            namespace: self.options.namespace.clone(),
            exempt_namespaces: self.options.exempt_namespaces.clone(),
            owner: self.options.owner.clone(),
        };
        let api = Api::all(self.client.clone());
        let keep = webhook_configuration::keep(api, registration, sources, tell_places);
        tasks.spawn("registers the webhook", keep);
    }
}

/// Waits until what is published `needs` something.
async fn needed<T: Send + Sync>(
    mut published: watch::Receiver<Option<Arc<T>>>,
    needs: impl Fn(&T) -> bool + Send,
) {
    let now = published.wait_for(|now| now.as_deref().is_some_and(&needs)).await.map(drop);
    if now.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests;
