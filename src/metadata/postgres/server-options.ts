/**
 * What a connection asks of the server for itself (`-c NAME=VALUE …`): what its address or PGOPTIONS in the environment asks
 * for, such as a `search_path`, and then what the registry needs. Of two that set the same, the server takes the later one.
 */
export function withServerOptions(
  address: string,
  needed: string,
  inEnvironment = process.env['PGOPTIONS'],
): { readonly connectionString: string; readonly options: string } {
  const url = new URL(address);
  const asked = url.searchParams.getAll('options').at(-1) ?? inEnvironment ?? '';
  if (!url.searchParams.has('options')) return { connectionString: address, options: joined(asked, needed) };
  // The client would take those of an address instead of any others.
  url.searchParams.delete('options');
  return { connectionString: url.href, options: joined(asked, needed) };
}

function joined(asked: string, needed: string): string {
  return asked.trim() === '' ? needed : `${asked.trim()} ${needed}`;
}
