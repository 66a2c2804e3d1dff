//! Views: which metrics are changed, and how.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{DNS_LABEL, int};

/// A change to the metrics that a selector finds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct View {
    /// A name for status to refer to: lower-case letters, digits and '-'.
    #[schemars(length(min = 1, max = 63), regex(pattern = DNS_LABEL))]
    pub name: String,

    /// Which metrics. At least one member must be set; all that are set must match.
    pub selector: ViewSelector,

    /// What becomes of them. At least one member must be set.
    pub stream: ViewStream,
}

/// Selects metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("minProperties" = 1))]
#[serde(rename_all = "camelCase")]
pub struct ViewSelector {
    /// The metric's name, as OpenTelemetry or as Prometheus shows it; '*' stands for any
    /// characters and '?' for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[A-Za-z*?][A-Za-z0-9_./*?-]*$"))]
    pub instrument_name: Option<String>,

    /// The kind of instrument that records it. Unset means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "InstrumentType")]
    pub instrument_type: Option<InstrumentType>,
}

/// Kind of instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "OpenTelemetry's own names")]
pub enum InstrumentType {
    Counter,
    UpDownCounter,
    Histogram,
    Gauge,
    ObservableCounter,
    ObservableUpDownCounter,
    ObservableGauge,
}

/// What becomes of the selected metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("minProperties" = 1))]
#[serde(rename_all = "camelCase")]
pub struct ViewStream {
    /// Which attributes they keep. Series that differ only in others are added up. Unset means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute_keys: Option<AttributeKeys>,

    /// How many attribute sets they may have, in place of metrics.cardinalityLimit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub cardinality_limit: Option<i32>,

    /// How measurements are put together. Unset means as the instrument does by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregation: Option<Aggregation>,
}

/// A list of attributes to keep or of attributes to leave out.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = ("has(self.included) != has(self.excluded)",
    "exactly one of included and excluded must be set"))]
#[serde(rename_all = "camelCase")]
pub struct AttributeKeys {
    /// The only attributes to keep. An empty list keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub included: Option<Vec<String>>,

    /// The attributes to leave out. Only for metrics whose attributes are known beforehand, which
    /// all of Pharos's own are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub excluded: Option<Vec<String>>,
}

/// How measurements are put together.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("(self.type == 'ExplicitBucketHistogram') == has(self.explicitBucketHistogram)")
        .message("explicitBucketHistogram must be set if and only if type is ExplicitBucketHistogram")
        .field_path(".explicitBucketHistogram"),
    validation = Rule::new("self.type == 'Base2ExponentialHistogram' || !has(self.base2ExponentialHistogram)")
        .message("base2ExponentialHistogram may be set only if type is Base2ExponentialHistogram")
        .field_path(".base2ExponentialHistogram")
)]
#[serde(rename_all = "camelCase")]
pub struct Aggregation {
    /// Default is what the instrument does by itself, and undoes what an earlier view set. Drop
    /// removes the metric. ExplicitBucketHistogram counts into given buckets,
    /// Base2ExponentialHistogram into buckets that adapt to the values.
    pub r#type: AggregationType,

    /// The buckets; required for type ExplicitBucketHistogram.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explicit_bucket_histogram: Option<ExplicitBucketHistogram>,

    /// The size of a histogram of type Base2ExponentialHistogram.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base2_exponential_histogram: Option<Base2ExponentialHistogram>,
}

/// Kind of aggregation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AggregationType {
    /// What the instrument does by itself.
    Default,
    /// Removes the metric.
    Drop,
    /// Counts into given buckets.
    ExplicitBucketHistogram,
    /// Counts into buckets that adapt to the values.
    Base2ExponentialHistogram,
}

/// Given buckets.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExplicitBucketHistogram {
    /// The upper bounds of the buckets, increasing, as decimal numbers in quotes, in the metric's
    /// unit. The last bucket has none and comes by itself.
    #[schemars(
        length(min = 1, max = 100),
        inner(length(max = 24), regex(pattern = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,9})?$"))
    )]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = ("self.map(b, double(b)).isSorted() && self.all(b, self.exists_one(c, double(c) == double(b)))",
            "boundaries must be increasing")
    )]
    pub boundaries: Vec<String>,
}

/// Size of a histogram with adapting buckets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Base2ExponentialHistogram {
    /// How many buckets there may be on each side of zero. With fewer, buckets are wider.
    #[serde(default = "int::<160>")]
    #[schemars(range(min = 2, max = 320))]
    pub max_size: i32,

    /// The finest resolution, and the one that it starts with: bucket bounds grow by a factor of
    /// 2^(2^-scale).
    #[serde(default = "int::<20>")]
    #[schemars(range(min = -10, max = 20))]
    pub max_scale: i32,
}

// === impl Base2ExponentialHistogram ===

impl Default for Base2ExponentialHistogram {
    fn default() -> Self {
        Self { max_size: 160, max_scale: 20 }
    }
}
