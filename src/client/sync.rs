//! Who the members are, as one of them tells.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Client, Error, Request, Step};
use crate::cluster::Address;

/// The client port of etcd 0.4, which a URL without a port means.
const PORT: u16 = 4001;

/// How long a member may take to name the others; then the next one is asked.
const TIMEOUT: Duration = Duration::from_secs(5);

impl Client {
    /// Ask the members it has, in turn, who all members are, and talk to those from then on: first to
    /// the one that told, which can surely be reached from here, then to the others it named, then to
    /// those it had before. Gives the members as they were told.
    ///
    /// # Errors
    ///
    /// [`Error::NoMember`] with a reason for each when none could tell.
    pub async fn sync(&mut self) -> Result<Vec<Address>, Error> {
        let mut tried = Vec::new();
        for member in self.members.clone() {
            match self.ask_members(&member).await {
                Ok(told) => {
                    let mut members = vec![member];
                    for next in told.iter().chain(&self.members) {
                        if !members.contains(next) {
                            members.push(next.clone());
                        }
                    }
                    self.members = members;
                    self.preferred.store(0, Ordering::Relaxed);
                    return Ok(told);
                }
                Err(cause) => {
                    (self.watched)(Step::Failed(&member, &cause));
                    tried.push((member, cause));
                }
            }
        }
        Err(Error::NoMember(tried))
    }

    async fn ask_members(&self, member: &Address) -> Result<Vec<Address>, String> {
        let page = Request {
            timeout: Some(TIMEOUT),
            ..Request::page("/v2/machines")
        };
        let answer = self
            .send_to(member, &page)
            .await
            .map_err(|failure| failure.cause)?;
        if !answer.is_success() {
            return Err(format!(
                "answered {} when asked for its members",
                answer.status
            ));
        }
        members(&String::from_utf8_lossy(&answer.body))
    }
}

/// The members on a `/v2/machines` page: URLs with a comma between them.
fn members(page: &str) -> Result<Vec<Address>, String> {
    page.split(',')
        .map(|url| {
            let url = url.trim();
            Address::parse_with_port(url, PORT)
                .map_err(|problem| format!("named a member {url:?}, which {problem}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_machines_is_read() {
        let page = "http://10.0.0.1:4001, http://[fd00::2]:4002,http://c:4003/\n";
        let shown: Vec<String> = members(page)
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
        assert!(members("").is_err() && members("<html>").is_err());
    }
}
