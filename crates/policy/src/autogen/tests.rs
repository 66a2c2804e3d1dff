//! What becomes of texts. The cases are what Kyverno 1.19.1 makes of them.

use super::rewrite::rewrite;
use crate::rule::Autogen;

#[test]
fn what_names_a_part_of_a_pod_names_the_templates() {
    for (text, rewritten) in [
        ("object.spec", "object.spec.template.spec"),
        ("oldObject.spec.x", "oldObject.spec.template.spec.x"),
        ("object.metadata.labels", "object.spec.template.metadata.labels"),
        ("object.metadata.namespace", "object.metadata.namespace"),
        ("object.metadata.namespace == 'x'", "object.metadata.namespace == 'x'"),
        ("object.metadata.namespaces", "object.spec.template.metadata.namespaces"),
        ("object.metadata.namespace_", "object.spec.template.metadata.namespace_"),
        ("object.metadata.name", "object.spec.template.metadata.name"),
        ("object.specs", "object.spec.template.specs"),
        ("variables.object.spec", "variables.object.spec.template.spec"),
        ("myobject.spec", "myobject.spec.template.spec"),
        ("namespaceObject.metadata", "namespaceObject.metadata"),
        ("object . spec", "object . spec"),
        ("object.?spec", "object.?spec"),
        ("object['spec']", "object['spec']"),
        (
            "object.spec == oldObject.spec",
            "object.spec.template.spec == oldObject.spec.template.spec",
        ),
        ("", ""),
    ] {
        assert_eq!(rewrite(text, Autogen::Defaults), rewritten);
    }
    let cron_job = rewrite("object.spec + object.metadata", Autogen::CronJobs);
    let template = "object.spec.jobTemplate.spec.template";
    assert_eq!(cron_job, format!("{template}.spec + {template}.metadata"));
}
