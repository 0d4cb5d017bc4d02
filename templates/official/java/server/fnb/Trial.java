package fnb;

/**
 * Makes the object of the handler's class once, while the image is built, so that the virtual
 * machine can list the classes which that takes. No method of it is called: a build has no network
 * and nothing that the handler may want.
 */
final class Trial {
    private Trial() {}

    public static void main(String[] args) {
        try {
            Main.load(args[0]);
        } catch (Throwable t) {
            Main.log("the handler cannot be made here, so that less of it is in the archive of classes: ", t);
        }
        Runtime.getRuntime().halt(0);
    }
}
