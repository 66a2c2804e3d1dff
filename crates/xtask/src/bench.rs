//! `docs/benchmarks.md`: every bench of the workspace is run and leaves a section, which names the
//! machine. What is not run keeps the section that it has.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, thread};

use anyhow::{Context, ensure};
use pharos_testkit::bench::SECTIONS;

use crate::workspace::{Findings, Workspace, cargo};

mod page;

use page::Page;

const PAGE: &str = "docs/benchmarks.md";
/// Where benches leave their sections.
const LEFT: &str = "target/benchmarks";

/// Runs those of that name, or all, and puts their sections in place.
pub(crate) fn run(workspace: &Workspace, only: Option<&str>) -> anyhow::Result<Findings> {
    let left = workspace.root.join(LEFT);
    if left.exists() {
        fs::remove_dir_all(&left).with_context(|| format!("cannot empty {LEFT}"))?;
    }
    fs::create_dir_all(&left).with_context(|| format!("cannot create {LEFT}"))?;
    let mut ran = 0;
    for package in &workspace.packages {
        for bench in package.targets.iter().filter(|target| target.is_bench()) {
            if only.is_some_and(|only| only != bench.name) {
                continue;
            }
            ran += 1;
            println!("bench {} of {}", bench.name, package.name);
            let features = bench.required_features.join(",");
            let status = cargo()
                .current_dir(&workspace.root)
                .env(SECTIONS, &left)
                .args(["bench", "--locked", "--package", &package.name])
                .args(["--features", &features, "--bench", &bench.name])
                .status()
                .context("cannot run cargo")?;
            ensure!(status.success(), "bench {} of {} failed", bench.name, package.name);
        }
    }
    ensure!(ran > 0, "there is no bench {}", only.unwrap_or_default());
    place(workspace, &sections(&left)?)
}

fn place(workspace: &Workspace, new: &BTreeMap<String, String>) -> anyhow::Result<Findings> {
    let path = workspace.root.join(PAGE);
    let mut page = match fs::read_to_string(&path) {
        Ok(text) => Page::parse(&text),
        Err(_) => Page::default(),
    };
    let machine = machine();
    for (name, section) in new {
        page.put(name, &format!("{section}\nMachine: {machine}.\n"));
    }
    fs::write(&path, page.to_string()).with_context(|| format!("cannot write {PAGE}"))?;
    println!("wrote {PAGE}");
    Ok(Findings::new())
}

fn sections(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let entries = fs::read_dir(folder).context("cannot read what benches left")?;
    entries
        .map(|entry| {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, fs::read_to_string(&path)?))
        })
        .collect()
}

/// The CPU, how many of it we may use, and the kernel.
fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim().to_owned())
    };
    let model = processors.lines().find_map(field).unwrap_or_else(|| "unknown CPU".to_owned());
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}
