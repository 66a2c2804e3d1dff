//! What each part is built from, and the hash of all of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use aws_lc_rs::digest::{self, SHA256};

use super::Part;

pub(super) const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../e2e/tools");

/// How to build one part.
pub(super) struct Recipe {
    name: &'static str,
    module: PathBuf,
    package: &'static str,
    ldflags: String,
    /// The flag with the build tags.
    tags: Option<&'static str>,
}

// === impl Recipe ===

impl Recipe {
    pub(super) fn of(part: Part) -> anyhow::Result<Self> {
        let (name, module, package) = match part {
            Part::Etcd => ("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
            Part::KubeApiserver => {
                ("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver")
            }
            Part::KubeControllerManager => (
                "kube-controller-manager",
                "kubernetes",
                "k8s.io/kubernetes/cmd/kube-controller-manager",
            ),
            Part::Kubectl => ("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl"),
            Part::Helm => ("helm", "helm", "helm.sh/helm/v3/cmd/helm"),
            Part::Collector => ("otelcol", "otelcol", "."),
            Part::Prometheus => {
                ("prometheus", "prometheus", "github.com/prometheus/prometheus/cmd/prometheus")
            }
            Part::Jaeger => ("jaeger", "jaeger", "github.com/jaegertracing/jaeger/cmd/jaeger"),
            Part::Kyverno => ("kyverno", "kyverno", "github.com/kyverno/kyverno/cmd/kyverno"),
            Part::KyvernoReports => {
                ("kyverno-reports", "kyverno", "github.com/kyverno/kyverno/cmd/reports-controller")
            }
        };
        let module = Path::new(TOOLS).join(module);
        let mut ldflags = "-s -w".to_owned();
        if let Part::KubeApiserver | Part::KubeControllerManager | Part::Kubectl = part {
            let go_mod = module.join("go.mod");
            let text = fs::read_to_string(&go_mod)
                .with_context(|| format!("cannot read {}", go_mod.display()))?;
            let version = required_version(&text, "k8s.io/kubernetes")
                .with_context(|| format!("{} requires no k8s.io/kubernetes", go_mod.display()))?;
            ldflags.push_str(&kubernetes_version_flags(version));
        }
        // Discovery would take most of the time of the build; targets here are always given.
        let tags = (part == Part::Prometheus).then_some("-tags=remove_all_sd");
        Ok(Self { name, module, package, ldflags, tags })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn module(&self) -> &Path {
        &self.module
    }

    /// The build, with the binary as `output`.
    pub(super) fn command(&self, output: &Path) -> Command {
        let mut command = Command::new("go");
        command
            .current_dir(&self.module)
            .env("CGO_ENABLED", "0")
            .env_remove("GOOS")
            .env_remove("GOARCH")
            // A commit that changes nothing here must not change the binary.
            .args(["build", "-buildvcs=false", "-trimpath", "-ldflags", &self.ldflags])
            .args(self.tags)
            .arg("-o")
            .arg(output)
            .arg(self.package);
        command
    }

    /// Changes whenever the binary could.
    pub(super) fn hash(&self, toolchain: &str) -> anyhow::Result<String> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.module)
            .with_context(|| format!("cannot read {}", self.module.display()))?
        {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name == "go.mod" || name == "go.sum" || name.ends_with(".go") {
                files.push((name, fs::read(&path)?));
            }
        }
        files.sort();
        let recipe = [toolchain, self.package, &self.ldflags].into_iter().chain(self.tags);
        let contents = files.iter().flat_map(|(name, content)| [name.as_bytes(), content]);
        Ok(hash(recipe.map(str::as_bytes).chain(contents)))
    }
}

/// 64 bits in hexadecimal. Each piece is preceded by its length, so that none can pass for two.
fn hash<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut context = digest::Context::new(&SHA256);
    for piece in pieces {
        context.update(&(piece.len() as u64).to_be_bytes());
        context.update(piece);
    }
    context.finish().as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The version in `MODULE VERSION`, as it stands in a go.mod's require block.
fn required_version<'a>(go_mod: &'a str, module: &str) -> Option<&'a str> {
    go_mod.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        (words.next() == Some(module)).then(|| words.next()).flatten()
    })
}

/// What Kubernetes' own build sets; without it the binaries call themselves v0.0.0.
fn kubernetes_version_flags(version: &str) -> String {
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    [("gitVersion", version), ("gitMajor", major), ("gitMinor", minor)]
        .map(|(name, value)| format!(" -X k8s.io/component-base/version.{name}={value}"))
        .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(files: &[(&str, &str)]) -> (tempfile::TempDir, Recipe) {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        let module = dir.path().to_owned();
        (dir, Recipe { name: "x", module, package: ".", ldflags: String::new(), tags: None })
    }

    #[test]
    fn the_hash_changes_with_everything_that_decides_the_binary() {
        let files = [("go.mod", "module x"), ("go.sum", ""), ("main.go", "package main")];
        let (_dir, mut recipe) = module(&files);
        let hash = recipe.hash("go1.26").unwrap();
        assert_eq!(hash.len(), 16);
        assert_eq!(recipe.hash("go1.26").unwrap(), hash);
        assert_ne!(recipe.hash("go1.27").unwrap(), hash);
        fs::write(recipe.module.join("README.md"), "no source").unwrap();
        assert_eq!(recipe.hash("go1.26").unwrap(), hash);
        fs::write(recipe.module.join("go.sum"), "x").unwrap();
        assert_ne!(recipe.hash("go1.26").unwrap(), hash);
        let other = recipe.hash("go1.26").unwrap();
        recipe.tags = Some("-tags=a");
        assert_ne!(recipe.hash("go1.26").unwrap(), other);
        let (_dir, moved) = module(&files);
        assert_eq!(moved.hash("go1.26").unwrap(), hash, "another clone has another path");
    }

    #[test]
    fn the_end_of_one_file_is_not_the_start_of_the_next() {
        let one = hash([&b"ab"[..], b"c"].into_iter());
        let other = hash([&b"a"[..], b"bc"].into_iter());
        assert_ne!(one, other);
    }

    #[test]
    fn the_version_comes_from_the_go_mod() {
        let go_mod = "tool (\n\tk8s.io/kubernetes/cmd/kubectl\n)\n\nrequire (\n\tk8s.io/api v0.37.2\n\
                      \tk8s.io/kubernetes v1.37.2 // indirect\n)\n";
        assert_eq!(required_version(go_mod, "k8s.io/kubernetes"), Some("v1.37.2"));
        assert_eq!(required_version("require x v1", "x"), Some("v1"));
        assert_eq!(required_version(go_mod, "k8s.io/absent"), None);
        assert_eq!(
            kubernetes_version_flags("v1.37.2"),
            " -X k8s.io/component-base/version.gitVersion=v1.37.2 \
             -X k8s.io/component-base/version.gitMajor=1 \
             -X k8s.io/component-base/version.gitMinor=37"
        );
    }

    #[test]
    fn every_part_has_its_module() {
        for part in Part::ALL.into_iter().chain([Part::Kyverno]) {
            let recipe = Recipe::of(part).unwrap();
            assert!(recipe.module().join("go.sum").is_file(), "{part:?}");
        }
    }
}
