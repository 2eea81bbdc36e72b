/**
 * Tests of the suite that this registry has to leave skipped, by their name, each with the reason. They count neither
 * as passed nor as failed; one that is no longer skipped has to go from this list.
 */
export const unavoidableSkips: ReadonlyMap<string, string> = new Map();
