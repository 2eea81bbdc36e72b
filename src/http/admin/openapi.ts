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
  const { summary, query, body, path, method } = endpoint;
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
    ...(method === 'POST' && { requestBody: { required: true, content: content(schemaOf(body, 'input')) } }),
    responses: {
      200: { description: 'Done.', content: contentOf(endpoint) },
      default: { description: 'Refused, and why.', content: content({ $ref: '#/components/schemas/Errors' }) },
    },
  };
}

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
