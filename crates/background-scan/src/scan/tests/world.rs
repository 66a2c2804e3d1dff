//! A cluster of numbered objects for the tests of a scan, whose jobs are done by hand.

use pharos_api::report::{Outcome, ReportResult};
use pharos_cluster::discovery::Scope;

use super::*;
use crate::known::Stamp;
use pharos_reports::admitted::ADMISSION;
use pharos_reports::{DIGEST, Desired, Digest, Own, Subject};

pub(super) const API: ReportApi = ReportApi::PolicyReports;

pub(super) fn target(resource: &str) -> Target {
    Target {
        group: "".into(),
        resource: resource.into(),
        version: "v1".into(),
        kind: resource.into(),
        scope: Scope::Namespaced,
    }
}

pub(super) fn uid(number: u64) -> Uid {
    Uid::parse(&format!("00000000-0000-0000-0000-{number:012x}")).unwrap()
}

pub(super) fn version(number: u64) -> Version {
    Version::parse(&number.to_string())
}

/// A cluster of numbered objects, each in the namespace of its remainder by three, and its reports; and
/// a scan of it that is run to its end by hand.
pub(super) struct World {
    pub(super) scan: Scan,
    pub(super) objects: BTreeMap<u64, u64>,
    /// By the number of the object: the report's version, and its digest.
    pub(super) reports: BTreeMap<u64, (u64, Digest)>,
    /// What is left of reports that are tidied; of others nothing is.
    pub(super) tidied: BTreeMap<u64, Stamp>,
    pub(super) verdict: Outcome,
    pub(super) clock: u64,
    pub(super) id: TargetId,
    pub(super) journal: Vec<String>,
}

impl World {
    pub(super) fn with(objects: u64) -> Self {
        let mut scan = Scan::new(Keeping::In(API), Share::of("me", ["me"]));
        let watches = scan.set_targets(&[target("pods")].into());
        let [(id, _)] = watches.begin[..] else { panic!("one target") };
        let objects = (1..=objects).map(|number| (number, 1)).collect();
        let (reports, tidied, journal) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let verdict = Outcome::Fail;
        let mut world = Self { scan, objects, reports, tidied, verdict, clock: 1000, id, journal };
        world.list_reports();
        world.list();
        world
    }

    pub(super) fn seen(&self, number: u64) -> Seen {
        let (namespace, name) = (namespace(number), format!("pod-{number}"));
        Seen { uid: uid(number), namespace, name, version: version(self.objects[&number]) }
    }

    pub(super) fn list(&mut self) {
        let objects = self.objects.keys().map(|number| self.seen(*number)).collect();
        self.scan.listed(self.id, objects);
    }

    pub(super) fn list_reports(&mut self) {
        let report = |(number, (at, digest)): (&u64, &(u64, Digest))| SeenReport {
            uid: uid(*number),
            namespace: namespace(*number),
            version: version(*at),
            owner: None,
            stamp: stamp(*digest),
        };
        let reports: Vec<_> = self.reports.iter().map(report).collect();
        self.scan.reports_listed(API.in_namespaces(), reports);
        self.scan.reports_listed(API.of_cluster(), Vec::new());
    }

    pub(super) fn change(&mut self, number: u64) {
        self.clock += 1;
        self.objects.insert(number, self.clock);
        self.scan.applied(self.id, &self.seen(number));
    }

    /// An admission writes this into a report, as the watch tells it.
    pub(super) fn admit(&mut self, number: u64, said: &str) -> Stamp {
        self.clock += 1;
        let digest = self.reports.get(&number).map(|(_, digest)| *digest).unwrap_or_default();
        let annotations = [(DIGEST, &*digest.to_string()), (ADMISSION, said)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let annotations = Some(annotations.into());
        let stamp = Stamp::of(annotations.as_ref());
        self.tell(number, stamp);
        stamp
    }

    /// Somebody changes a report and leaves its metadata.
    pub(super) fn edit(&mut self, number: u64) {
        self.clock += 1;
        let entry = self.scan.known.get(uid(number)).unwrap();
        let stamp = Stamp { digest: entry.digest, admitted: entry.admitted };
        self.tell(number, stamp);
    }

    fn tell(&mut self, number: u64, stamp: Stamp) {
        self.reports.insert(number, (self.clock, stamp.digest));
        let (uid, namespace) = (uid(number), namespace(number));
        let version = version(self.clock);
        self.scan.report_applied(&SeenReport { uid, namespace, version, owner: None, stamp });
    }

    pub(super) fn judged(&self, number: u64) -> Judged {
        let (uid, namespace, name) =
            (uid(number).to_string(), namespace(number), format!("pod-{number}"));
        let (namespace, name, uid) = (&*namespace, &*name, &*uid);
        let subject = Subject { api_version: "v1", kind: "Pod", namespace, name, uid };
        let result = ReportResult { result: Some(self.verdict), ..ReportResult::default() };
        let desired = Desired::of(&subject, API, vec![result]);
        // `skip` stands for policies that are not about the object.
        let desired = desired.filter(|_| self.verdict != Outcome::Skip);
        Judged { uid: self::uid(number), version: version(self.objects[&number]), desired }
    }

    /// Does one job as a cluster would; what it was.
    pub(super) fn step(&mut self) -> Option<Job> {
        let job = self.scan.next()?;
        self.do_job(&job);
        Some(job)
    }

    pub(super) fn do_job(&mut self, job: &Job) {
        match job {
            Job::Page(page) => {
                let of_place = |number: &u64| match &page.place {
                    Place::Everywhere => true,
                    Place::Namespace(namespace) => **namespace == self::namespace(*number),
                };
                let from = page.token.as_ref().map_or(0, |token| token.parse::<u64>().unwrap());
                let rest: Vec<u64> =
                    self.objects.keys().copied().filter(|it| *it > from).filter(of_place).collect();
                let page_of: Vec<u64> = rest.iter().copied().take(2).collect();
                let more = (rest.len() > 2).then(|| page_of[1].to_string());
                let objects: Vec<_> = page_of.iter().map(|number| self.judged(*number)).collect();
                self.journal.push(format!("page of {}", objects.len()));
                self.scan.page_read(page, Read::Judged { objects, more });
            }
            Job::Object(single) => {
                let number = number(single.uid);
                let there = self.objects.contains_key(&number);
                let objects: Vec<_> = there.then(|| self.judged(number)).into_iter().collect();
                self.journal.push(format!("object {number}"));
                self.scan.object_read(single, Read::Judged { objects, more: None });
            }
            Job::Write(write) => {
                let number = number(write.uid);
                self.clock += 1;
                self.reports.insert(number, (self.clock, write.desired.digest));
                self.journal.push(format!("write {number}"));
                let stored = Written::Stored(version(self.clock), stamp(write.desired.digest));
                self.scan.written(write.uid, stored);
            }
            Job::Tidy(tidy) => {
                let number = number(tidy.removal.uid);
                let own = if tidy.own == Own::Keep { "keep" } else { "drop" };
                self.journal.push(format!("tidy {number}, {own}"));
                let stamp = self.tidied.remove(&number);
                let written = match stamp {
                    Some(stamp) => Written::Stored(version(self.clock), stamp),
                    None => Written::Deleted,
                };
                self.scan.written(tidy.removal.uid, written);
            }
            Job::Delete(removal) => {
                let number = number(removal.uid);
                self.reports.remove(&number);
                self.journal.push(format!("delete {number}"));
                self.scan.written(removal.uid, Written::Deleted);
            }
        }
    }

    /// Does all that there is to do; what that was.
    pub(super) fn settle(&mut self) -> Vec<String> {
        self.journal.clear();
        for _ in 0..10_000 {
            if self.step().is_none() {
                return std::mem::take(&mut self.journal);
            }
        }
        panic!("it never ends: {:?}", &self.journal[..20]);
    }

    pub(super) fn writes(&mut self) -> Vec<String> {
        let all = self.settle();
        let writes = ["write", "delete", "tidy"];
        all.into_iter().filter(|it| writes.iter().any(|write| it.starts_with(write))).collect()
    }
}

/// Of a report in which scans say this, and admissions nothing.
pub(super) fn stamp(digest: Digest) -> Stamp {
    Stamp { digest, ..Stamp::default() }
}

pub(super) fn number(uid: Uid) -> u64 {
    u64::from_str_radix(uid.to_string().rsplit('-').next().unwrap(), 16).unwrap()
}

pub(super) fn namespace(number: u64) -> String {
    format!("n{}", number % 3)
}
