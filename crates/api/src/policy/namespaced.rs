//! Kinds that are another kind in a namespace: the same spec, the same status, other names.
//!
//! The derive macro of a custom resource makes one kind of one spec. The second kind of a spec is
//! written by [`namespaced`]; its definition is made from the first kind's.

/// Declares a kind whose spec and status are those of a kind for the whole cluster.
macro_rules! namespaced {
    (
        $(#[$doc:meta])*
        $name:ident {
            group: $group:literal,
            version: $version:literal,
            plural: $plural:literal,
            short_name: $short_name:literal,
            spec: $spec:ty,
            status: $status:ty,
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
        pub struct $name {
            /// The object's metadata.
            #[serde(default)]
            pub metadata: kube::core::ObjectMeta,
            /// What the policy asks for.
            pub spec: $spec,
            /// What the engine makes of it.
            #[serde(default)]
            pub status: Option<$status>,
        }

        impl $name {
            /// The short name of `kubectl`.
            pub(crate) const SHORT_NAME: &'static str = $short_name;

            /// A policy of this name, which is in no namespace yet.
            pub fn new(name: &str, spec: $spec) -> Self {
                let metadata =
                    kube::core::ObjectMeta { name: Some(name.to_owned()), ..Default::default() };
                Self { metadata, spec, status: None }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct;

                let fields = 4 + usize::from(self.status.is_some());
                let mut object = serializer.serialize_struct(stringify!($name), fields)?;
                object.serialize_field("apiVersion", &<Self as kube::Resource>::api_version(&()))?;
                object.serialize_field("kind", stringify!($name))?;
                object.serialize_field("metadata", &self.metadata)?;
                object.serialize_field("spec", &self.spec)?;
                if let Some(status) = &self.status {
                    object.serialize_field("status", status)?;
                }
                object.end()
            }
        }

        impl kube::Resource for $name {
            type DynamicType = ();
            type Scope = kube::core::NamespaceResourceScope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                stringify!($name).into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                $version.into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &kube::core::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut kube::core::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

pub(crate) use namespaced;
