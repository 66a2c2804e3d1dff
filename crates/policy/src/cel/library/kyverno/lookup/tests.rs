use std::sync::Arc;

use serde_json::{Value, json};

use crate::cel::meter::Budget;
use crate::cel::{
    Allowance, Bindings, Compiler, Expected, Input, Inputs, NamespaceObject, Scope, Sight,
    Variables,
};
use crate::json::Json;
use crate::lookups::{Context, ContextError};

const ENOUGH: Budget = Budget { steps: 1 << 20, bytes: 1 << 20 };

fn context() -> Arc<Context> {
    let mut context = Context::default();
    let object = |namespace: &str, name: &str, labels: Value| {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "data": {"of": format!("{namespace}/{name}")}, "size": 3})
    };
    for (namespace, name, labels) in [
        ("shop", "a", json!({"team": "x", "tier": "front"})),
        ("shop", "b", json!({"team": "y"})),
        ("lab", "a", json!(7)),
    ] {
        context.add_resource("configmaps", object(namespace, name, labels)).unwrap();
    }
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}});
    context.add_resource("nodes", node).unwrap();
    let image = json!({"image": "busybox:1.28", "config": {"Env": ["A=b"], "layers": 2}});
    context.add_image(image).unwrap();
    Arc::new(context)
}

fn cluster() -> Sight {
    Sight::Cluster(context())
}

fn namespace(name: &str) -> Sight {
    Sight::Namespace(context(), name.into())
}

/// What is wrong with an expression.
fn problems(sight: Sight, source: &str) -> Vec<(&'static str, String)> {
    let mut compiler = Compiler::new(Input::ADMISSION, sight);
    let found = compiler.expression(source, Variables::Visible, Expected::Anything).err();
    found.into_iter().flatten().map(|it| (it.reason.as_str(), it.message)).collect()
}

fn within(budget: Budget, sight: Sight, source: &str) -> Result<bool, String> {
    let mut compiler = Compiler::new(Input::ADMISSION, sight);
    let expression = compiler
        .expression(source, Variables::Visible, Expected::Anything)
        .unwrap_or_else(|problems| panic!("{source}: {problems:?}"));
    let program = compiler.finish().expect("there are no variables");
    let object = json!({"name": "a", "labels": {"team": "x"}, "number": 1}).into();
    let inputs = Inputs::new(&object, &Json::Null, &Json::Null, NamespaceObject::None);
    let bindings = Bindings::new(&inputs, &program);
    let allowance = Allowance::of(budget);
    let scope = Scope::new(&bindings, &allowance);
    scope.truth(&expression).map_err(|error| error.to_string())
}

fn evaluate(sight: Sight, source: &str) -> Result<bool, String> {
    within(ENOUGH, sight, source)
}

#[test]
fn where_nothing_is_given_a_look_up_is_refused_by_name() {
    for name in ["resource.Get", "resource.List", "image.GetMetadata", "resource.get"] {
        let found = problems(Sight::Nothing, &format!("{name}('v1', 'nodes', '', 'n').x"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "Unsupported", "{found:?}");
        assert!(found[0].1.contains(name), "{found:?}");
    }
    // What no context answers is refused with one, too.
    for source in ["resource.Post('v1', 'pods', {})", "http.Get('u')", "resource", "image"] {
        let found = problems(cluster(), source);
        assert_eq!(found.first().map(|it| it.0), Some("Unsupported"), "{source}: {found:?}");
    }
}

#[test]
fn a_policy_of_the_cluster_sees_all_of_the_context() {
    for source in [
        "resource.Get('v1', 'configmaps', 'shop', 'b').data.of == 'shop/b'",
        "resource.get('v1', 'configmaps', 'lab', object.name).data.of == 'lab/a'",
        "resource.Get('v1', 'nodes', '', 'n').metadata.name == 'n'",
        // As in an object of the request.
        "type(resource.Get('v1', 'configmaps', 'lab', 'a').size) == int",
        "resource.List('v1', 'configmaps', 'shop').items.map(i, i.metadata.name) == ['a', 'b']",
        "resource.list('v1', 'configmaps', 'nowhere').items == []",
        "resource.List('v1', 'configmaps', '').items.size() == 3",
        "resource.List('v1', 'configmaps', '', {'team': 'x'}).items.size() == 1",
        "resource.List('v1', 'configmaps', 'shop', object.labels).items[0].data.of == 'shop/a'",
        "resource.List('v1', 'configmaps', 'shop', {'team': 'x', 'tier': 'back'}).items == []",
        "image.GetMetadata('busybox:1.28').config.?Env.orValue([]).exists(e, e == 'A=b')",
        "type(image.getMetadata('busybox:1.28').config.layers) == double",
    ] {
        assert_eq!(evaluate(cluster(), source), Ok(true), "{source}");
    }
}

#[test]
fn a_policy_of_a_namespace_sees_that_namespace() {
    for source in [
        "resource.Get('v1', 'configmaps', 'a').data.of == 'lab/a'",
        "resource.List('v1', 'configmaps').items.size() == 1",
        "resource.List('v1', 'configmaps', {'team': 'x'}).items == []",
        "dyn(resource.Get('v1', 'nodes', 'n')) == null",
        "image.GetMetadata('busybox:1.28').image == 'busybox:1.28'",
    ] {
        assert_eq!(evaluate(namespace("lab"), source), Ok(true), "{source}");
    }
    let source = "resource.Get('v1', 'configmaps', 'shop', 'a')";
    let found = problems(namespace("lab"), source);
    assert_eq!(found, [("CompileError", "resource.Get takes 3 arguments, not 4".to_owned())]);
    // A namespace is none where the functions have to be told one.
    assert_eq!(problems(cluster(), "resource.Get('v1', 'configmaps', 'a')").len(), 1);
}

#[test]
fn what_is_not_there_is_null_and_a_type_of_which_nothing_is_there_cannot_be_listed() {
    for source in [
        "dyn(resource.Get('v1', 'configmaps', 'shop', 'z')) == null",
        "dyn(resource.Get('v1', 'configmaps', 'z', 'a')) == null",
        "dyn(resource.Get('v2', 'configmaps', 'shop', 'a')) == null",
        "dyn(resource.Get('v1', 'configmap', 'shop', 'a')) == null",
    ] {
        assert_eq!(evaluate(cluster(), source), Ok(true), "{source}");
    }
    for (source, why) in [
        ("resource.Get('v1', 'configmaps', 'shop', 'z').data.of == 'a'", "no such key: data"),
        ("resource.List('v1', 'pods', 'shop').items == []", "v1 pods not found in the context"),
        ("dyn(resource.Get('a/b/c', 'd', '', 'n')) == null", "a/b/c is no apiVersion"),
        ("resource.List('v1', 'nodes', '', {'a': object.number}).items == []", "no such overload"),
        ("image.GetMetadata('busybox').image == ''", "image data for busybox not found"),
        ("image.GetMetadata('busybox:1.28').manifest == ''", "no such key: manifest"),
    ] {
        let error = evaluate(cluster(), source).expect_err(source);
        assert!(error.contains(why), "{source}: {error}");
    }
}

#[test]
fn arguments_of_other_types_and_numbers_do_not_compile() {
    for source in [
        "resource.Get('v1', 'configmaps', 'shop', 1)",
        "resource.List('v1', 'configmaps')",
        "resource.List('v1', 'configmaps', 'shop', {'a': 1})",
        "image.GetMetadata()",
        "resource.List('v1', 'configmaps', 'shop') == 1",
    ] {
        let found = problems(cluster(), source);
        assert_eq!(found.first().map(|it| it.0), Some("CompileError"), "{source}: {found:?}");
    }
}

#[test]
fn a_long_list_is_paid_for_each_time() {
    let mut context = Context::default();
    for index in 0..1_000 {
        let metadata = json!({"name": format!("n{index}")});
        context.add_resource("nodes", json!({"apiVersion": "v1", "metadata": metadata})).unwrap();
    }
    let sight = Sight::Cluster(Arc::new(context));
    let once = "resource.List('v1', 'nodes', '').items.size() == 1000";
    assert_eq!(evaluate(sight.clone(), once), Ok(true));
    let often = "range.all(i, resource.List('v1', 'nodes', '').items.size() == 1000)"
        .replace("range", &format!("{:?}", (0..100).collect::<Vec<_>>()));
    for budget in [Budget { steps: 50_000, ..ENOUGH }, ENOUGH] {
        let error = within(budget, sight.clone(), &often).expect_err("it is too much");
        assert!(error.contains("the evaluation"), "{error}");
    }
}

#[test]
fn what_nobody_can_name_and_what_is_too_deep_is_not_taken() {
    let mut context = Context::default();
    for object in [
        json!(null),
        json!({"kind": "Pod", "metadata": {"name": "a"}}),
        json!({"apiVersion": "v1", "metadata": {"name": 1}}),
        json!({"apiVersion": "v1", "metadata": {"name": ""}}),
        json!({"apiVersion": "v1", "metadata": []}),
    ] {
        let error = context.add_resource("pods", object.clone()).expect_err("it has no name");
        assert_eq!(error.reason(), "Nameless", "{object}");
    }
    assert!(context.add_image(json!({"config": {}})).is_err());
    let deep = |levels: usize| (0..levels).fold(json!(1), |inner, _| Value::Array(vec![inner]));
    let of = |levels| json!({"apiVersion": "v1", "metadata": {"name": "a"}, "deep": deep(levels)});
    assert_eq!(context.add_resource("pods", of(127)), Ok(()));
    let too_deep = Err(ContextError::TooDeep { name: "a".to_owned() });
    assert_eq!(context.add_resource("pods", of(128)), too_deep);
    assert!(context.add_image(json!({"image": "a", "config": deep(1_000)})).is_err());
}
