import { expect, test } from 'bun:test';
import { withServerOptions } from './server-options.ts';

const needed = '-c enable_seqscan=off';

test('an address without options stays as it is', () => {
  for (const address of ['postgres://a:b%25@db/wherry', 'postgres://a@db/wherry?sslmode=verify-full']) {
    expect(withServerOptions(address, needed, undefined)).toEqual({ connectionString: address, options: needed });
  }
});

test('what an address asks of the server goes before what the registry needs, and leaves all else in it', () => {
  const address = 'postgres://a:b%25@db/wherry?sslmode=verify-full&options=-c%20search_path%3Dx&host=%2Frun';
  const connectionString = 'postgres://a:b%25@db/wherry?sslmode=verify-full&host=%2Frun';
  const options = `-c search_path=x ${needed}`;
  expect(withServerOptions(address, needed, undefined)).toEqual({ connectionString, options });
});

test('what the environment asks for counts where the address asks for nothing, as it does for other clients', () => {
  const [plain, asking] = ['postgres://db/wherry', 'postgres://db/wherry?options=-c%20b%3D2'];
  expect(withServerOptions(plain, needed, '-c a=1').options).toBe(`-c a=1 ${needed}`);
  expect(withServerOptions(asking, needed, '-c a=1').options).toBe(`-c b=2 ${needed}`);
});
