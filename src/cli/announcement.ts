import { version } from '../version.ts';

/** What an operator is told when the registry has started. */
export interface Announcement {
  readonly version: string;
  readonly url: string;
  readonly data: string;
  /** What to type to push an image. */
  readonly push: string;
}

/**
 * @param url where the server listens: `http://127.0.0.1:5000`
 * @param data the data directory
 */
export function announcementOf(url: string, data: string): Announcement {
  return { version, url, data, push: `docker push ${referenceHost(url)}/NAME` };
}

/** The announcement for a terminal: lines that can be pasted after putting in the name of an image. */
export function announcementText({ url, data }: Announcement): string {
  const host = referenceHost(url);
  const isPlain = url.startsWith('http:');
  return `Wherry ${version} serves ${url}
Its data is in ${data}

Push an image that you have, say one named IMAGE, with one of
  docker tag IMAGE ${host}/IMAGE && docker push ${host}/IMAGE
  podman push ${isPlain ? '--tls-verify=false ' : ''}IMAGE ${host}/IMAGE
  skopeo copy ${isPlain ? '--dest-tls-verify=false ' : ''}docker-archive:IMAGE.tar docker://${host}/IMAGE
`;
}

/** What stands before the slash in a client's reference; a wildcard address is not one that can be called. */
function referenceHost(url: string): string {
  const { hostname, port, protocol } = new URL(url);
  const isWildcard = hostname === '0.0.0.0' || hostname === '[::]';
  return `${isWildcard ? 'localhost' : hostname}:${port === '' ? (protocol === 'https:' ? '443' : '80') : port}`;
}
