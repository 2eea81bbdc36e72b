import { describe, expect, test } from 'bun:test';
import { Responses } from './responses.ts';

class Response {
  isDone = false;
  cuts = 0;
  isOver(): boolean {
    return this.isDone;
  }
  cut(): void {
    this.cuts++;
  }
}

describe('the responses that send an object', () => {
  test('are broken off, those that send another are not', () => {
    const responses = new Responses();
    const [first, second, other] = [new Response(), new Response(), new Response()];
    responses.begin('a', first);
    responses.begin('a', second);
    responses.begin('b', other);
    expect(responses.cut('a')).toBe(2);
    expect([first.cuts, second.cuts, other.cuts]).toEqual([1, 1, 0]);
  });

  test('are let alone when they are over: their connection may send something else', () => {
    const responses = new Responses();
    const response = new Response();
    responses.begin('a', response);
    response.isDone = true;
    expect(responses.cut('a')).toBe(0);
    expect(response.cuts).toBe(0);
  });

  test('are broken off at once where they begin after that', () => {
    const responses = new Responses();
    responses.cut('a');
    const late = new Response();
    responses.begin('a', late);
    expect(late.cuts).toBe(1);
  });

  test('are forgotten when they are over, however many there were', () => {
    const responses = new Responses();
    let most = 0;
    for (let each = 0; each < 100_000; each++) {
      const response = new Response();
      responses.begin(`object ${each % 10}`, response);
      response.isDone = true;
      most = Math.max(most, responses.count);
    }
    expect(most).toBeLessThan(1000);
  });

  test('are kept as long as they last, with many others beside them', () => {
    const responses = new Responses();
    const lasting = Array.from({ length: 1000 }, () => new Response());
    for (const response of lasting) responses.begin('lasting', response);
    for (let each = 0; each < 10_000; each++) {
      const response = new Response();
      responses.begin('short', response);
      response.isDone = true;
    }
    expect(responses.cut('lasting')).toBe(1000);
  });
});
