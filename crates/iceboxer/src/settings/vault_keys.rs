//! A table of `[[vaults]]`: iceboxer's own keys taken out, the rest handed to crate vault. Key by key, so that a mistake is told with its line, and
//! without `flatten`, which would let unknown keys pass.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{CowStrDeserializer, MapAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, de};

use super::{ProveLock, VaultSettings};

/// The keys that only iceboxer has.
#[derive(Default)]
struct Own {
    retention_days: Option<u32>,
    prices: Option<String>,
    prove_lock: ProveLock,
}

#[derive(Clone, Copy)]
enum OwnKey {
    RetentionDays,
    Prices,
    ProveLock,
}

impl<'de> Deserialize<'de> for VaultSettings {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Table)
    }
}

struct Table;

impl<'de> Visitor<'de> for Table {
    type Value = VaultSettings;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a table [[vaults]]")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VaultSettings, A::Error> {
        let mut own = Own::default();
        let store = vault::Settings::deserialize(MapAccessDeserializer::new(Rest { map, own: &mut own }))?;
        let Some(retention_days) = own.retention_days else {
            return Err(A::Error::custom(format!("missing key `retention_days` of vault {:?}", store.name)));
        };
        Ok(VaultSettings { store, retention_days, prices: own.prices, prove_lock: own.prove_lock })
    }
}

/// The table without iceboxer's own keys, which are kept aside as they come by.
struct Rest<'o, A> {
    map: A,
    own: &'o mut Own,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Rest<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, mut seed: K) -> Result<Option<K::Value>, A::Error> {
        loop {
            // The key is looked at inside the reader's own call, which knows where it stands.
            match self.map.next_key_seed(Pick(seed, PhantomData))? {
                None => return Ok(None),
                Some(Picked::Other(value)) => return Ok(Some(value)),
                Some(Picked::Own(key, again)) => {
                    match key {
                        OwnKey::RetentionDays => self.own.retention_days = Some(self.map.next_value()?),
                        OwnKey::Prices => self.own.prices = Some(self.map.next_value()?),
                        OwnKey::ProveLock => self.own.prove_lock = self.map.next_value()?,
                    }
                    seed = again;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

struct Pick<K, T>(K, PhantomData<T>);

/// An own key, with the seed that was not used for it; or what the seed made of another.
enum Picked<K, T> {
    Own(OwnKey, K),
    Other(T),
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Pick<K, K::Value> {
    type Value = Picked<K, K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        let key = Cow::<str>::deserialize(from)?;
        match &*key {
            "retention_days" => Ok(Picked::Own(OwnKey::RetentionDays, self.0)),
            "prices" => Ok(Picked::Own(OwnKey::Prices, self.0)),
            "prove_lock" => Ok(Picked::Own(OwnKey::ProveLock, self.0)),
            _ => {
                let key: CowStrDeserializer<'_, D::Error> = de::IntoDeserializer::into_deserializer(key);
                // Whoever mistypes an own key must see it among those expected.
                self.0.deserialize(key).map(Picked::Other).map_err(|error| {
                    let known = error.to_string();
                    D::Error::custom(format!(
                        "{}, `retention_days`, `prices`, `prove_lock`",
                        known.trim_end()
                    ))
                })
            }
        }
    }
}
