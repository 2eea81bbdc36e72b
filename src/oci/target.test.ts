import { describe, expect, test } from 'bun:test';
import { parseTarget, targetText } from './target.ts';

const digest = `sha256:${'0a'.repeat(32)}`;

test.each(['app', 'team/app', 'team/app:v1.2', `team/app@${digest}`, `team/app:v1.2@${digest}`])(
  '%s is read and written back',
  (text) => {
    const parsed = parseTarget(text);
    expect(parsed.ok && targetText(parsed.target)).toBe(text);
  },
);

describe('what names nothing is refused with what is wrong', () => {
  test.each([
    ['', 'it is empty'],
    ['Team/app', 'letters must be lower-case'],
    ['app:', '"" is not a tag: it is empty'],
    ['app:-x', '"-x" is not a tag'],
    ['app@', 'is not a digest'],
    ['app@sha256:1', 'is not a digest'],
    [`app@${digest}:v1`, 'is not a digest'],
    ['localhost:5000/app', '"5000/app" is not a tag'],
  ])('%s', (text, message) => {
    const parsed = parseTarget(text);
    expect(parsed.ok ? 'read' : parsed.message).toContain(message);
  });
});
