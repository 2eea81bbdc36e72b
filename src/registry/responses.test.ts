import { describe, expect, test } from 'bun:test';
import { digestOf } from '../oci/digest.ts';
import { type ContentResponse, Responses, type SentContent } from './responses.ts';

/** An object, and the content that it holds. */
function sent(name: string, content = name): SentContent {
  return { oid: name, digest: digestOf('sha256', new TextEncoder().encode(content)) };
}

class Response implements ContentResponse {
  isDone = false;
  cuts = 0;
  isOver(): boolean {
    return this.isDone;
  }
  cut(): boolean {
    this.cuts++;
    return true;
  }
}

function cut(responses: Responses, { oid, digest }: SentContent): number {
  return responses.cut([digest], oid === undefined ? [] : [oid]).count;
}

describe('the responses that send an object', () => {
  test('are broken off, those that send another are not', () => {
    const responses = new Responses();
    const [first, second, other] = [new Response(), new Response(), new Response()];
    responses.begin(sent('a'), first);
    responses.begin(sent('a'), second);
    responses.begin(sent('b'), other);
    expect(cut(responses, sent('a'))).toBe(2);
    expect([first.cuts, second.cuts, other.cuts]).toEqual([1, 1, 0]);
  });

  test('count once, however often they are broken off', () => {
    const responses = new Responses();
    const response = new Response();
    responses.begin(sent('a'), response);
    expect([1, 2, 3].map(() => cut(responses, sent('a')))).toEqual([1, 0, 0]);
    expect(response.cuts).toBe(3);
    expect(responses.cut([sent('a').digest], []).oids.size).toBe(1);
  });

  test('are let alone when they are over: their connection may send something else', () => {
    const responses = new Responses();
    const response = new Response();
    responses.begin(sent('a'), response);
    response.isDone = true;
    expect(cut(responses, sent('a'))).toBe(0);
    expect(response.cuts).toBe(0);
  });

  test('are broken off where their object is not known any more, and those of another object of the content', () => {
    const responses = new Responses();
    const [collected, current] = [new Response(), new Response()];
    responses.begin(sent('collected', 'content'), collected);
    responses.begin(sent('current', 'content'), current);
    const { count, oids } = responses.cut([sent('current', 'content').digest], ['current']);
    expect([count, collected.cuts, current.cuts]).toEqual([2, 1, 1]);
    expect([...oids]).toEqual(['collected', 'current']);
  });

  test('are broken off where they send a manifest, which is no object', () => {
    const responses = new Responses();
    const response = new Response();
    const { digest } = sent('manifest');
    responses.begin({ oid: undefined, digest }, response);
    expect(responses.cut([digest], [])).toEqual({ count: 1, oids: new Set() });
    expect(response.cuts).toBe(1);
  });

  test('are let alone where the content has come again in another object', () => {
    const responses = new Responses();
    cut(responses, sent('purged', 'content'));
    const response = new Response();
    expect(responses.begin(sent('pushed again', 'content'), response)).toBe(true);
    expect(response.cuts).toBe(0);
  });

  test('must not be given where they begin after that', () => {
    const responses = new Responses();
    cut(responses, sent('a'));
    const late = new Response();
    expect(responses.begin(sent('a'), late)).toBe(false);
    expect(responses.count).toBe(0);
  });

  test('are forgotten when they are over, however many there were', () => {
    const responses = new Responses();
    let most = 0;
    for (let each = 0; each < 100_000; each++) {
      const response = new Response();
      responses.begin(sent(`object ${each % 10}`), response);
      response.isDone = true;
      most = Math.max(most, responses.count);
    }
    expect(most).toBeLessThan(1000);
  });

  test('are kept as long as they last, with many others beside them', () => {
    const responses = new Responses();
    const lasting = Array.from({ length: 1000 }, () => new Response());
    for (const response of lasting) responses.begin(sent('lasting'), response);
    for (let each = 0; each < 10_000; each++) {
      const response = new Response();
      responses.begin(sent('short'), response);
      response.isDone = true;
    }
    expect(cut(responses, sent('lasting'))).toBe(1000);
  });
});
