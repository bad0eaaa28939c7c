// The bundler puts the file in as text in base64.
declare module "*.binpb" {
  const base64: string;
  export default base64;
}
