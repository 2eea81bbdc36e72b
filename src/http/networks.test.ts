import { describe, expect, test } from 'bun:test';
import { Networks } from './networks.ts';

describe('networks', () => {
  test('are the addresses and networks that were named, in either family', () => {
    const networks = new Networks(['10.1.0.0/16', '192.0.2.7', '2001:db8::/32', '::1']);
    for (const inside of ['10.1.255.1', '192.0.2.7', '2001:db8:5::1', '::1', '::ffff:10.1.2.3']) {
      expect(networks.contain(inside)).toBe(true);
    }
    for (const outside of ['10.2.0.1', '192.0.2.8', '2001:db9::1', '::2', '::ffff:10.2.0.1', undefined]) {
      expect(networks.contain(outside)).toBe(false);
    }
  });

  test('are nobody where none was named', () => {
    expect(new Networks([]).contain('127.0.0.1')).toBe(false);
  });
});
