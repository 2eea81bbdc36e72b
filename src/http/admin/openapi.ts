import { z } from 'zod';
import { errors } from '../errors.ts';
import type { Endpoint, LinesEndpoint } from './endpoint.ts';
import { linesMediaType, progress } from './lines.ts';

/** A description of the admin API that tools read (OpenAPI 3.1), made of what its endpoints parse their requests with. */
export function openApiDocument(endpoints: readonly (Endpoint | LinesEndpoint)[], prefix: string) {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const endpoint of endpoints) {
    const path = `${prefix}${endpoint.path}`;
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operationOf(endpoint) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Wherry admin API', version: '1' },
    security: [{ token: [] }, { password: [] }],
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'The file admin.token of the data directory.' },
        password: { type: 'http', scheme: 'basic', description: 'Of a user whom an access rule allows it.' },
      },
      schemas: { Errors: schemaOf(errors, 'output') },
    },
  };
}

function operationOf(endpoint: Endpoint | LinesEndpoint) {
  const { summary, refusals = [], query, body, path, method } = endpoint;
  const { properties = {}, required = [] } = schemaOf(query, 'input');
  const parameters = Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
  const content = (schema: unknown) => ({ 'application/json': { schema } });
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/[/](\w)/g, (_, letter: string) => letter.toUpperCase())}`,
    summary,
    parameters,
    ...(method === 'POST' && {
      // No body is an empty object.
      requestBody: { required: !body.safeParse({}).success, content: content(schemaOf(body, 'input')) },
    }),
    responses: {
      200: { description: 'Done.', content: contentOf(endpoint) },
      ...Object.fromEntries(
        [...refusalsOfAll, ...refusals].map((status) => [
          status,
          {
            description: meanings[status],
            ...(triedLater.has(status) && { headers: { 'Retry-After': retryAfter } }),
            content: content({ $ref: '#/components/schemas/Errors' }),
          },
        ]),
      ),
    },
  };
}

const meanings = {
  400: 'The request makes no sense; the message says what of it.',
  401: 'Nobody has logged in, or not as somebody who is known.',
  403: 'Whoever asks may not do this, or it would bring back what was purged.',
  404: 'What the request names is not there.',
  409: 'As things stand, this cannot be done.',
  429: 'Too many logins have failed.',
  500: 'The registry failed; its log says more under the X-Request-Id of the answer.',
  503: 'It has to be tried again.',
  507: 'There is no room on the disk.',
} as const;

/** With which every request may be refused. */
const refusalsOfAll = [400, 401, 403, 429, 500, 503, 507] as const;

const triedLater: ReadonlySet<number> = new Set([429, 503]);

const retryAfter = { description: 'In how many seconds.', schema: { type: 'integer' } };

/** An answer, or what each line of one says. */
function contentOf(endpoint: Endpoint | LinesEndpoint) {
  if ('line' in endpoint) return { [linesMediaType]: { schema: schemaOf(endpoint.line, 'output') } };
  const { answer, isLong } = endpoint;
  const lines = z.union([z.object({ progress }), z.object({ answer }), errors]);
  return {
    'application/json': { schema: schemaOf(answer, 'output') },
    ...(isLong && { [linesMediaType]: { schema: schemaOf(lines, 'output') } }),
  };
}

/** What a schema takes, or gives. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output') {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io });
  return json;
}
