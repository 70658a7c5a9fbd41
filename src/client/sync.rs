//! Fetching the list of members from one of them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::error::Cause;
use super::{Client, Error, Request, Step};
use crate::cluster::Address;

/// The port of a URL without one: the client port of etcd 0.4.
const PORT: u16 = 4001;

/// Timeout for the response of one member; then the next one is tried.
const TIMEOUT: Duration = Duration::from_secs(5);

impl Client {
    /// Fetch the list of members from the first known member that returns it, and use it from then on: first
    /// the member that returned it, which is reachable from here, then the members on the list, then those
    /// known before. Returns the list.
    ///
    /// # Errors
    ///
    /// [`Error::NoMember`] with a cause for each member if none returned the list.
    pub async fn sync(&mut self) -> Result<Vec<Address>, Error> {
        let mut tried = Vec::new();
        for member in self.members.clone() {
            match self.fetch_members(&member).await {
                Ok(list) => {
                    let mut members = vec![member];
                    for next in list.iter().chain(&self.members) {
                        if !members.contains(next) {
                            members.push(next.clone());
                        }
                    }
                    self.members = members;
                    self.preferred.store(0, Ordering::Relaxed);
                    return Ok(list);
                }
                Err(cause) => {
                    (self.observer)(Step::Failure(&member, &cause));
                    tried.push((member, cause));
                }
            }
        }
        Err(Error::NoMember(tried))
    }

    async fn fetch_members(&self, member: &Address) -> Result<Vec<Address>, Cause> {
        let page = Request {
            timeout: Some(TIMEOUT),
            ..Request::page("/v2/machines")
        };
        let answer = self
            .send_to(member, &page)
            .await
            .map_err(|failure| failure.cause)?;
        if !answer.is_success() {
            return Err(Cause::NoMembers(answer.status));
        }
        parse_members(&String::from_utf8_lossy(&answer.body))
    }
}

/// The members of a `/v2/machines` page: URLs separated by commas.
fn parse_members(page: &str) -> Result<Vec<Address>, Cause> {
    page.split(',')
        .map(|url| {
            let url = url.trim();
            Address::parse_with_port(url, PORT)
                .map_err(|problem| Cause::BadMember(url.to_owned(), problem.to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_members_is_parsed() {
        let page = "http://10.0.0.1:4001, http://[fd00::2]:4002,http://c:4003/\n";
        let shown: Vec<String> = parse_members(page)
            .expect("members")
            .iter()
            .map(Address::url)
            .collect();
        assert_eq!(
            shown,
            [
                "http://10.0.0.1:4001",
                "http://[fd00::2]:4002",
                "http://c:4003"
            ]
        );
        assert!(parse_members("").is_err() && parse_members("<html>").is_err());
    }
}
