//! The minute at which a host pushes: the same function on hosts, server and in Salt.

/// Unsigned CRC-32 (IEEE) of the host name's bytes, modulo 60.
pub fn minute(host: &str) -> u32 {
    crc32fast::hash(host.as_bytes()) % 60
}

#[cfg(test)]
mod tests {
    use super::minute;

    #[test]
    fn the_golden_hosts_have_their_minutes() {
        assert_eq!(minute("web01"), 40);
        assert_eq!(minute("db1.example.org"), 56);
    }
}
