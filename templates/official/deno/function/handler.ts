export default async function handle(request: Request): Promise<Response> {
  const body = await request.text();
  return Response.json({ method: request.method, body });
}
