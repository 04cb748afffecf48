//! Every visibility of a struct and of its fields, private key and value types included.
#![deny(warnings)]

mod apps {
    use kstreams::prelude::*;

    /// Public, with public nodes.
    #[topology(application_id = "a")]
    pub struct Public {
        /// Read.
        #[source(topic = "orders")]
        pub orders: KStream<String, u64>,
        /// Kept.
        #[from(orders.group_by_key().count())]
        pub counts: KTable<String, i64>,
    }

    #[topology(application_id = "b")]
    pub(crate) struct InCrate {
        #[source(topic = "orders")]
        pub(crate) orders: KStream<String, u64>,
        #[from(orders.group_by_key().count())]
        pub(super) counts: KTable<String, i64>,
    }

    #[topology(application_id = "c")]
    pub(super) struct InParent {
        #[source(topic = "orders")]
        orders: KStream<String, u64>,
        #[from(orders.filter(|_, o| *o > 1))]
        #[sink(topic = "large")]
        large: KStream<String, u64>,
    }

    #[topology(application_id = "d")]
    struct Private {
        #[source(topic = "orders")]
        orders: KStream<String, Total>,
        #[from(orders.filter(|_, o| o.0.0 > 1))]
        #[sink(topic = "large")]
        large: KStream<String, Total>,
    }

    type Total = Json<Amount>;

    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    struct Amount(u64);

    pub(super) fn private() {
        let _ = Private::builder();
    }
}

fn main() {
    let _ = apps::Public::builder();
    let _ = apps::InCrate::builder();
    let _ = apps::InParent::builder();
    apps::private();
}
