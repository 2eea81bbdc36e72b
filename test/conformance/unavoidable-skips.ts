/**
 * Tests of the suite that this registry has to leave skipped, by their name, each with the reason. They count neither
 * as passed nor as failed; one that is no longer skipped has to go from this list.
 */
export const unavoidableSkips: ReadonlyMap<string, string> = new Map();

const noSource = 'the suite has a token for one repository, which does not say that it may pull from any other';

/** The same of a registry that wants tokens. */
export const unavoidableSkipsWithTokens: ReadonlyMap<string, string> = new Map([
  ['sha256 blobs/mount anonymous/blob-mount-anonymous', noSource],
  ['sha512 blobs/mount anonymous/blob-mount-anonymous', noSource],
]);
